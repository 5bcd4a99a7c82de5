// Products of matrices by cuBLASLt (engine/cuda/blas_lt.cu), which is loaded when it is first asked for. In the emulator the CPU answers
// (engine/simt/blas_lt.cpp). Descriptions are in its terms: matrices by columns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/cuda/algorithm.h"

namespace g2s::cuda::blas {

// As stored: element (i, j) is at i + j * pitch. f32.
struct Matrix {
  std::int64_t rows, columns, pitch;
  std::int64_t batch_stride;  // elements; 0: the same for all products
  std::int64_t alignment;     // of the pointer, bytes
  auto operator<=>(const Matrix&) const = default;
};

// c = op(a) op(b), for each product of the batch; op transposes or does not.
struct MatmulDescription {
  std::int64_t batch;
  Matrix a, b, c;
  bool transpose_a, transpose_b;
  bool tensor_cores;  // factors may be rounded to tf32
  auto operator<=>(const MatmulDescription&) const = default;
};

class PreparedMatmul {
 public:
  virtual ~PreparedMatmul() = default;
  virtual std::size_t workspace() const = 0;  // bytes
  // On the stream of this thread; returns at once.
  virtual void run(const float* a, const float* b, float* c, void* workspace) const = 0;
};

// Why there is no cuBLASLt. Empty if there is.
__attribute__((weak)) std::string unavailable_reason();
// What its heuristics deem fastest first, of what is always the same and rounds no more than allowed.
__attribute__((weak)) std::vector<Algorithm> algorithms(const MatmulDescription& p);
// Null if this library has no such algorithm for it, or none that is always the same and rounds no more than allowed.
__attribute__((weak)) std::unique_ptr<PreparedMatmul> prepare(const MatmulDescription& p, const Algorithm& algorithm);

}  // namespace g2s::cuda::blas
