// The CUDA device that this process works on: one, which has all streams, all memory and all kernels. In programs without the backend these
// functions are null.
#pragma once

#include <cstddef>
#include <string>

namespace g2s::cuda {

struct DeviceFacts {
  std::string name;
  int capability = 0;  // 10 * major + minor: 75 for sm_75
  std::size_t memory = 0;
};

// bf16 and tf32 products (`mma.sync`) exist from here on.
constexpr int tensor_core_capability = 80;

__attribute__((weak)) DeviceFacts device_facts(int index);
// Why there is no device: no driver, an old one, or nothing that it drives. Empty if there is one.
__attribute__((weak)) std::string absence_of_devices();
// Why a device cannot be used: it runs none of the architectures that the kernels were compiled for, or is taken. Empty if it can.
__attribute__((weak)) std::string reason_against(int index);
// From here on, in all host threads, this one. Throws naming `option` if it cannot be used, or if the process has begun on another.
__attribute__((weak)) void choose_device(int index, const char* option);
__attribute__((weak)) int chosen_device();  // the first, unless another was chosen
// A host thread begins on the first device: called before this thread asks for memory, streams or launches.
__attribute__((weak)) void enter_device();

}  // namespace g2s::cuda
