#include "kernels/machine.h"

#include "engine/accelerator.h"
#include "engine/cuda/backend.h"
#include "engine/cuda/device.h"
#include "engine/error.h"
#include "kernels/isa.h"

namespace g2s {

std::string instruction_set() { return kernels::to_string(kernels::isa()); }

std::string cuda_devices() {
  if (!cuda_accelerator) return "no CUDA in this build";
  Accelerator& cuda = *cuda_accelerator();
  const int count = cuda.count();
  if (count == 0) return "no CUDA device: " + cuda.unavailable_reason();
  std::string all;
  for (int i = 0; i < count; ++i) {
    const std::string reason = cuda::unusable_reason(i);
    all += str(i > 0 ? ", " : "", Device{DeviceType::cuda, i}, reason.empty() ? " is " + cuda.name(i) : ": " + reason);
  }
  return all;
}

}  // namespace g2s
