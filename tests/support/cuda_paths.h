// Wishes about who computes on CUDA, for the life of an object, and who did.
#pragma once

#include <cstdint>

#include "engine/cuda/launches.h"
#include "kernels/conv/conv_cuda_choice.h"
#include "kernels/matmul/matmul_cuda_choice.h"
#include "tests/support/forced.h"

namespace g2s::test {

using ForcedCudaConv = Forced<kernels::force_cuda_conv>;
using ForcedCudaMatmul = Forced<kernels::force_cuda_matmul>;

// No vendor's library, whatever the tables say.
struct OurKernels {
  ForcedCudaConv convolutions{kernels::CudaConvWish::own};
  ForcedCudaMatmul products{kernels::CudaMatmulWish::own};
};

// How often a kernel was launched, by its name, since cuda::forget_launches().
inline std::int64_t launches_of(const char* name) {
  const auto all = cuda::launches();
  const auto it = all.find(name);
  return it == all.end() ? 0 : it->second;
}

}  // namespace g2s::test
