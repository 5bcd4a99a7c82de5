// Who multiplies f32 matrices on CUDA: what matmul_cuda_table.inc says of the sizes and the device's SM version, else our kernels.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "kernels/matmul/tiled_gemm_args.h"

namespace g2s::kernels {

struct CudaMatmulProblem {
  std::int64_t batch, m, n, k;
  bool transpose_a, transpose_b;
  bool shared_a, shared_b;  // the same for all of the batch

  auto operator<=>(const CudaMatmulProblem&) const = default;
};

enum class CudaMatmulPath : std::int32_t { fma, cublaslt };
const char* to_string(CudaMatmulPath path);

// `algorithm`: cuBLASLt's that was measured (engine/cuda/algorithm.h), or null: the first that it suggests.
struct CudaMatmulChoice {
  CudaMatmulPath path = CudaMatmulPath::fma;
  const char* algorithm = nullptr;
};
CudaMatmulChoice choose_cuda_matmul(const CudaMatmulProblem& problem, int sm);

// As with convolutions (kernels/conv/conv_cuda_choice.h): the override G2S_CUDA_MATMUL=own|cublaslt.
enum class CudaMatmulOverride { own, cublaslt };
std::optional<CudaMatmulOverride> forced_cuda_matmul();

// Calls `observer` with every f32 product that this context computes on a device from now on; an empty one ends this.
void observe_cuda_matmuls(std::function<void(const CudaMatmulProblem&)> observer);

// One row of the table, in ascending order of SM version and problem.
struct CudaMatmulRow {
  int sm;
  CudaMatmulProblem problem;
  CudaMatmulPath path;
  const char* algorithm = nullptr;
};
const CudaMatmulRow* cuda_matmul_table_begin();
const CudaMatmulRow* cuda_matmul_table_end();

}  // namespace g2s::kernels
