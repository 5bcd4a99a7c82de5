// Plain arguments of the simple matrix product.
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

// c[i, m, n] = sum_k a[i, m, k] b[i, k, n], loop by loop: the f64 path, and f32 where the matrices are tiny.
template <class T>
struct PlainMatmulArgs {
  const T* a;
  const T* b;
  T* c;                                 // [batch, m, n]
  std::int64_t batch, m, n, k;
  std::int64_t a_batch_stride, b_batch_stride;  // 0: shared by all batches
  std::int64_t a_m_stride, a_k_stride;          // elements
  std::int64_t b_k_stride, b_n_stride;
};

// c[i, m, n] = sum_k a[i, m, k] b[i, k, n] on CUDA, cut as GemmTiling says.
template <class T>
struct MatmulArgs {
  const T* a;  // [m, k], or [k, m] with transpose_a
  const T* b;  // [k, n], or [n, k] with transpose_b
  T* c;        // [batch, m, n]
  T* partial;  // [split_k, batch, m, n], or null where split_k is 1
  std::int64_t batch, m, n, k;
  std::int64_t a_batch_stride, b_batch_stride;  // 0: shared by all batches
  bool transpose_a, transpose_b;
  bool vectors;                       // rows as stored are multiples of four elements; f32 alone
  std::int32_t mode;                  // MathMode; of f64 fma
  std::int32_t tile, split_k, steps;  // GemmTiling
};

// dst[j, i] = src[i, j]
struct TransposeArgs {
  const float* source;  // [rows, columns]
  float* target;        // [columns, rows]
  std::int64_t rows, columns;
};

G2S_ISA_KERNEL(plain_matmul_f32, PlainMatmulArgs<float>)
G2S_ISA_KERNEL(plain_matmul_f64, PlainMatmulArgs<double>)
G2S_ISA_KERNEL(transpose_matrix, TransposeArgs)
G2S_CUDA_KERNEL(matmul_f32, MatmulArgs<float>)
G2S_CUDA_KERNEL(matmul_f64, MatmulArgs<double>)

}  // namespace g2s::kernels
