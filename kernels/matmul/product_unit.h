// Which unit of a CUDA device multiplies f32 matrices and convolutions.
#pragma once

#include "kernels/matmul/tiled_gemm_args.h"

namespace g2s::kernels {

// `usual`, unless the override G2S_CUDA_UNIT=fma|bf16|tf32|tf32x3 (engine/context.h) names another for all products.
ProductUnit product_unit(ProductUnit usual);
const char* to_string(ProductUnit unit);

}  // namespace g2s::kernels
