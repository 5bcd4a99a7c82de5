// Wishes about who computes on CUDA, for the life of an object.
#pragma once

#include <optional>

#include "kernels/conv/conv_cuda_choice.h"
#include "kernels/matmul/matmul_cuda_choice.h"

namespace g2s::test {

class ForcedCudaConv {
 public:
  explicit ForcedCudaConv(std::optional<kernels::CudaConvWish> wish) : before_(kernels::force_cuda_conv(wish)) {}
  ~ForcedCudaConv() { kernels::force_cuda_conv(before_); }
  ForcedCudaConv(const ForcedCudaConv&) = delete;

 private:
  std::optional<kernels::CudaConvWish> before_;
};

class ForcedCudaMatmul {
 public:
  explicit ForcedCudaMatmul(std::optional<kernels::CudaMatmulWish> wish) : before_(kernels::force_cuda_matmul(wish)) {}
  ~ForcedCudaMatmul() { kernels::force_cuda_matmul(before_); }
  ForcedCudaMatmul(const ForcedCudaMatmul&) = delete;

 private:
  std::optional<kernels::CudaMatmulWish> before_;
};

// No vendor's library, whatever the tables say.
struct OurKernels {
  ForcedCudaConv convolutions{kernels::CudaConvWish::own};
  ForcedCudaMatmul products{kernels::CudaMatmulWish::own};
};

}  // namespace g2s::test
