#include "engine/cuda/launch.cuh"
#include "kernels/matmul/matmul_args.h"
#include "kernels/matmul/tensor_gemm.cuh"
#include "kernels/matmul/tiled_gemm.cuh"

namespace g2s::kernels {
namespace {

using std::int64_t;

// Slices are the parts of the first product of the batch, then of the second, and so on.
template <class Element, bool vectors_, class Left, class Right>
struct Matmul {
  using T = Element;
  Left left;
  Right right;
  static constexpr bool vectors = vectors_;
  T* c;  // [split_k, batch, m, n]
  int64_t left_batch, right_batch, batch;
  int m, n, k;
  GemmTiling tiling;

  __device__ gemm::Slice<Left, Right> slice(int z) const {
    const int b = z / tiling.split_k, split = z % tiling.split_k;
    Left a = left;
    Right w = right;
    a.p += b * left_batch;
    w.p += b * right_batch;
    return {a, w, m, n, split * tiling.steps * static_cast<int>(gemm_tile_k), gemm::steps_of(tiling, split, k)};
  }
  __device__ gemm::PlainEpilogue<T> epilogue(int z) const { return {c + (z % tiling.split_k * batch + z / tiling.split_k) * m * n, n}; }
};

template <class T, bool vectors, class Left, class Right>
void run(const MatmulArgs<T>& a) {
  const int m = static_cast<int>(a.m), n = static_cast<int>(a.n), k = static_cast<int>(a.k);
  Matmul<T, vectors, Left, Right> gemm{{a.a, Left::along_k ? a.k : a.m, m, k},
                                       {a.b, Right::along_k ? a.k : a.n, n, k},
                                       a.c,
                                       a.a_batch_stride,
                                       a.b_batch_stride,
                                       a.batch,
                                       m,
                                       n,
                                       k,
                                       {static_cast<GemmTile>(a.tile), a.split_k, a.steps}};
  if (a.split_k > 1) gemm.c = a.partial;
  if constexpr (sizeof(T) == sizeof(float))
    gemm::launch("matmul", gemm, static_cast<MathMode>(a.mode), gemm.tiling.tile, a.m, a.n, a.batch * a.split_k);
  else gemm::launch("matmul", gemm, gemm.tiling.tile, a.m, a.n, a.batch * a.split_k);
}

template <class T, bool vectors>
void multiply(const MatmulArgs<T>& a) {
  if (a.batch * a.m * a.n == 0) return;
  using gemm::MatrixAlongK, gemm::MatrixAlongOuter;
  if (a.transpose_a && a.transpose_b) run<T, vectors, MatrixAlongOuter<T, vectors>, MatrixAlongK<T, vectors>>(a);
  else if (a.transpose_a) run<T, vectors, MatrixAlongOuter<T, vectors>, MatrixAlongOuter<T, vectors>>(a);
  else if (a.transpose_b) run<T, vectors, MatrixAlongK<T, vectors>, MatrixAlongK<T, vectors>>(a);
  else run<T, vectors, MatrixAlongK<T, vectors>, MatrixAlongOuter<T, vectors>>(a);
  if (a.split_k > 1)
    gemm::sum_split_k("matmul_sum", a.partial, a.split_k, a.batch * a.m * a.n, a.c, [] __device__(int64_t, T sum) { return sum; });
}

}  // namespace

void matmul_f32_cuda(const MatmulArgs<float>& a) { a.vectors ? multiply<float, true>(a) : multiply<float, false>(a); }
void matmul_f64_cuda(const MatmulArgs<double>& a) { multiply<double, false>(a); }

}  // namespace g2s::kernels
