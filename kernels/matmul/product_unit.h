// Which unit of a CUDA device multiplies f32 matrices and convolutions.
#pragma once

#include "kernels/matmul/tiled_gemm_args.h"

namespace g2s::kernels {

// `usual`, unless the environment variable G2S_CUDA_UNIT=fma|bf16|tf32 or WithProductUnit names another for all products.
ProductUnit product_unit(ProductUnit usual);

// For tests: another unit for the life of this object.
class WithProductUnit {
 public:
  explicit WithProductUnit(ProductUnit unit);
  ~WithProductUnit();
  WithProductUnit(const WithProductUnit&) = delete;
  WithProductUnit& operator=(const WithProductUnit&) = delete;

 private:
  int before_;
};

}  // namespace g2s::kernels
