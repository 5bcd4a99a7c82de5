// A product of matrices on CUDA by cuBLASLt.
#pragma once

#include "engine/cuda/blas_lt.h"
#include "engine/tensor.h"
#include "kernels/matmul/matmul_cuda_choice.h"

namespace g2s::kernels {

// What cuBLASLt is asked for: matrices by rows are its transposed ones, so it computes the transposed product with the factors exchanged.
cuda::blas::MatmulDescription describe(const CudaMatmulProblem& problem, bool tensor_cores);

// Computes it, unless this cuBLASLt cannot: then returns false and has done nothing.
bool matmul_cublaslt(const CudaMatmulProblem& problem, const char* algorithm, bool tensor_cores, const Tensor& a, const Tensor& b, Tensor& c);

}  // namespace g2s::kernels
