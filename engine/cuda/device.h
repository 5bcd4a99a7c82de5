// The CUDA device that a context works on: one, which has all its streams, memory and kernels. In programs without the backend these functions
// are null.
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
__attribute__((weak)) std::string no_device_reason();
// Why a device cannot be used: it runs none of the architectures that the kernels were compiled for, or is taken. Empty if it can.
__attribute__((weak)) std::string unusable_reason(int index);
// The one that this thread's context works on: the first, unless its options name another.
__attribute__((weak)) int current_device();

}  // namespace g2s::cuda
