// Runs a check with a wish about who computes on CUDA, and puts the old one back.
#pragma once

#include <optional>

#include "kernels/conv/conv_cuda_choice.h"

namespace g2s::test {

class ForcedCudaConv {
 public:
  explicit ForcedCudaConv(std::optional<kernels::CudaConvWish> wish) : before_(kernels::force_cuda_conv(wish)) {}
  ~ForcedCudaConv() { kernels::force_cuda_conv(before_); }
  ForcedCudaConv(const ForcedCudaConv&) = delete;

 private:
  std::optional<kernels::CudaConvWish> before_;
};

}  // namespace g2s::test
