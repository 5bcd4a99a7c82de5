// Matrix products loop by loop.
#include "engine/parallel.h"
#include "kernels/matmul/matmul_args.h"
#include "kernels/simd.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

template <class T>
void add_row(const PlainMatmulArgs<T>& p, const T* a, const T* b, T* c) {
  for (std::int64_t n = 0; n < p.n; ++n) c[n] = 0;
  if (p.b_n_stride == 1) {
    for (std::int64_t k = 0; k < p.k; ++k) {
      const T left = a[k * p.a_k_stride];
      const T* right = b + k * p.b_k_stride;
#pragma omp simd
      for (std::int64_t n = 0; n < p.n; ++n) c[n] += left * right[n];
    }
    return;
  }
  for (std::int64_t n = 0; n < p.n; ++n) {
    T sum = 0;
    const T* right = b + n * p.b_n_stride;
    if (p.a_k_stride == 1 && p.b_k_stride == 1) {
#pragma omp simd reduction(+ : sum)
      for (std::int64_t k = 0; k < p.k; ++k) sum += a[k] * right[k];
    } else {
      for (std::int64_t k = 0; k < p.k; ++k) sum += a[k * p.a_k_stride] * right[k * p.b_k_stride];
    }
    c[n] = sum;
  }
}

template <class T>
void plain_matmul(const PlainMatmulArgs<T>& p) {
  const std::int64_t work = p.n * p.k + 1;
  parallel_blocks(p.batch * p.m, 1 + (1 << 16) / work, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t batch = i / p.m, row = i % p.m;
      add_row(p, p.a + batch * p.a_batch_stride + row * p.a_m_stride, p.b + batch * p.b_batch_stride, p.c + i * p.n);
    }
  });
}

}  // namespace

void plain_matmul_f32(const PlainMatmulArgs<float>& args) { plain_matmul(args); }
void plain_matmul_f64(const PlainMatmulArgs<double>& args) { plain_matmul(args); }

void transpose_matrix(const TransposeArgs& a) {
  parallel_blocks(a.rows, 16 * lanes, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; i += lanes) {
      for (std::int64_t j = 0; j < a.columns; j += lanes) {
        const int rows = static_cast<int>(end - i < lanes ? end - i : lanes);
        const int columns = static_cast<int>(a.columns - j < lanes ? a.columns - j : lanes);
        VecF tile[lanes];
        for (int r = 0; r < lanes; ++r) tile[r] = r < rows ? load_first(a.source + (i + r) * a.columns + j, columns) : VecF{};
        transpose(tile);
        for (int c = 0; c < columns; ++c) store_first(a.target + (j + c) * a.rows + i, tile[c], rows);
      }
    }
  });
}

}  // namespace g2s::kernels::G2S_ISA
