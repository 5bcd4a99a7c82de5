// How a CUDA device multiplies f32 matrices and convolutions.
#pragma once

#include "kernels/matmul/tiled_gemm_args.h"

namespace g2s::kernels {

// `usual`, unless the override G2S_CUDA_MATH=fma|bf16|tf32 (engine/context.h) names another for all products.
MathMode math_mode(MathMode usual);
const char* to_string(MathMode mode);

}  // namespace g2s::kernels
