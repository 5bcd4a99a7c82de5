// Wishes about who computes on CUDA, for the life of an object, and who did.
#pragma once

#include <cstdint>

#include "engine/context.h"
#include "engine/cuda/launches.h"

namespace g2s::test {

// own or cudnn; null: not forced.
struct ForcedCudaConv : WithOverride {
  explicit ForcedCudaConv(const char* requested) : WithOverride("G2S_CUDA_CONV", requested) {}
};
// own or cublaslt; null: not forced.
struct ForcedCudaMatmul : WithOverride {
  explicit ForcedCudaMatmul(const char* requested) : WithOverride("G2S_CUDA_MATMUL", requested) {}
};

// No vendor's library, whatever the tables say.
struct OurKernels {
  ForcedCudaConv convolutions{"own"};
  ForcedCudaMatmul products{"own"};
};

// How often a kernel was launched, by its name, since cuda::forget_launches().
inline std::int64_t launches_of(const char* name) {
  const auto all = cuda::launches();
  const auto it = all.find(name);
  return it == all.end() ? 0 : it->second;
}

}  // namespace g2s::test
