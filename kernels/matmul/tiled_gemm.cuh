// One product for all: c[m, n] = sum_k a[m, k] b[k, n], in tiles that a block holds in shared memory.
//
// It has three parts. Operands say where the elements of a and b are (matrices here, images behind a convolution in conv.cu); a TileLoader
// brings an operand's tiles into shared memory, step by step along k. The main loop multiplies what is there. An Epilogue says where c goes
// and what becomes of a sum before it is stored. A Gemm puts them together: Gemm::slice(z) is the product that blocks (.., .., z)
// compute.
//
// An operand is seen as lines along `outer` (m or n) and `k`. along_k says which of the two is contiguous in memory; load() reads four
// neighbours in that direction, zeros where there are none. Where an operand is `direct`, they are neighbours in memory that need no
// arithmetic: where() says where they are, null for zeros, and origin() is any address that can be read.
#pragma once

#include "engine/cuda/launch.cuh"
#include "engine/cuda/pack.cuh"
#include "kernels/matmul/tiled_gemm_args.h"

namespace g2s::kernels::gemm {

using std::int64_t;

constexpr int vector = 4;   // elements that a thread brings at once
constexpr int padding = 4;  // columns between rows of a tile in shared memory: what is stored by columns then meets fewer banks twice

template <class Element, GemmTile shape, int thread_m_, int thread_n_>
struct Tile {
  using T = Element;
  static constexpr int m = gemm_tile_m(shape), n = gemm_tile_n(shape);
  static constexpr int k = shape == GemmTile::large ? gemm_tile_k / 2 : gemm_tile_k;  // with 64 sums, few registers are left to load into
  static constexpr int thread_m = thread_m_, thread_n = thread_n_;                    // sums of one thread
  static constexpr int threads_n = n / thread_n, threads = m / thread_m * threads_n;
  static constexpr int min_blocks_per_sm = shape == GemmTile::large ? 2 : 4;  // of one processor: bounds the registers
};

using Narrow = Tile<float, GemmTile::narrow, 4, 4>;
using Medium = Tile<float, GemmTile::medium, 8, 4>;
using Large = Tile<float, GemmTile::large, 8, 8>;
using Double = Tile<double, GemmTile::f64, 4, 4>;

// One step works on one half while the next one's tiles go into the other.
template <class Tile>
struct Buffers { typename Tile::T a[2][Tile::k][Tile::m + padding], b[2][Tile::k][Tile::n + padding]; };

// Brings an operand's tiles of extent x Tile::k into shared memory.
template <class Tile, int extent, class Operand>
class TileLoader {
  using T = typename Tile::T;
  static constexpr bool along_k = Operand::along_k;
  static constexpr int across = (along_k ? Tile::k : extent) / vector;  // threads beside each other
  static constexpr int lines = along_k ? extent : Tile::k, lines_at_once = Tile::threads / across;
  static constexpr int count = (lines + lines_at_once - 1) / lines_at_once;
  static_assert(Tile::threads % across == 0 && (!along_k || (Tile::threads % (16 * across) == 0 && across % 2 == 0)));

 public:
  __device__ __forceinline__ TileLoader(const Operand& operand, int first_outer, int first_k)
      : line_(line_of(static_cast<int>(threadIdx.x))), at_(place_of(static_cast<int>(threadIdx.x)) * vector) {
    for (int i = 0; i < (along_k ? count : 1); ++i) outer_[i] = operand.outer(first_outer + (along_k ? line_ + i * lines_at_once : at_));
    for (int i = 0; i < (along_k ? 1 : count); ++i) depth_[i] = operand.depth(first_k + (along_k ? at_ : line_ + i * lines_at_once));
  }

  // Reads this thread's share and moves on by one step.
  __device__ __forceinline__ void load(const Operand& operand) {
#pragma unroll
    for (int i = 0; i < count; ++i)
      if (mine(i)) operand.load(outer_[along_k ? i : 0], depth_[along_k ? 0 : i], loaded_[i]);
#pragma unroll
    for (int i = 0; i < (along_k ? 1 : count); ++i) operand.advance(depth_[i], Tile::k);
  }

  __device__ __forceinline__ void store(T (&tile)[Tile::k][extent + padding]) const {
#pragma unroll
    for (int i = 0; i < count; ++i) {
      const int line = line_ + i * lines_at_once;
      if (!mine(i)) continue;
      if constexpr (along_k) {
#pragma unroll
        for (int e = 0; e < vector; ++e) tile[at_ + e][line] = loaded_[i].v[e];
      } else {
        cuda::store(&tile[line][at_], loaded_[i]);
      }
    }
  }

 private:
  // A warp has 16 lines and two neighbouring places of each: stored by columns, its elements go to 32 banks. Four places of eight lines would
  // meet twice in 16 of them.
  static constexpr int beside = along_k ? 2 : across;
  __device__ static __forceinline__ int line_of(int t) { return along_k ? t / 2 % 16 + t / (16 * across) * 16 : t / across; }
  __device__ static __forceinline__ int place_of(int t) { return t % beside + t / 32 % (across / beside) * beside; }

  __device__ __forceinline__ bool mine(int i) const { return lines % lines_at_once == 0 || line_ + i * lines_at_once < lines; }

  int line_, at_;
  typename Operand::Outer outer_[along_k ? count : 1];
  typename Operand::Depth depth_[along_k ? 1 : count];
  cuda::Pack<T, vector> loaded_[count];
};

// A thread's sums lie in groups of four, which are spread over the tile: neighbouring threads then read neighbouring groups.
template <int extent, int per_thread>
struct Groups {
  static constexpr int width = per_thread < vector ? per_thread : vector, count = per_thread / width, pitch = extent / count;
  __device__ static constexpr int place(int thread, int i) { return i / width * pitch + thread * width + i % width; }
};

template <class Tile>
__device__ __forceinline__ void multiply(const typename Tile::T (&a)[Tile::k][Tile::m + padding],
                                         const typename Tile::T (&b)[Tile::k][Tile::n + padding],
                                         typename Tile::T (&sum)[Tile::thread_m][Tile::thread_n]) {
  using T = typename Tile::T;
  using Rows = Groups<Tile::m, Tile::thread_m>;
  using Columns = Groups<Tile::n, Tile::thread_n>;
  const int row = static_cast<int>(threadIdx.x) / Tile::threads_n, column = static_cast<int>(threadIdx.x) % Tile::threads_n;
#pragma unroll
  for (int k = 0; k < Tile::k; ++k) {
    cuda::Pack<T, Rows::width> left[Rows::count];
    cuda::Pack<T, Columns::width> right[Columns::count];
#pragma unroll
    for (int g = 0; g < Rows::count; ++g) left[g] = cuda::load<Rows::width>(&a[k][Rows::place(row, g * Rows::width)]);
#pragma unroll
    for (int g = 0; g < Columns::count; ++g) right[g] = cuda::load<Columns::width>(&b[k][Columns::place(column, g * Columns::width)]);
#pragma unroll
    for (int i = 0; i < Tile::thread_m; ++i)
#pragma unroll
      for (int j = 0; j < Tile::thread_n; ++j)
        sum[i][j] += left[i / Rows::width].v[i % Rows::width] * right[j / Columns::width].v[j % Columns::width];
  }
}

template <class Tile, class Left, class Right>
__device__ __forceinline__ void main_loop(Buffers<Tile>& s, const Left& left, const Right& right, int m, int n, int k, int steps,
                                          typename Tile::T (&sum)[Tile::thread_m][Tile::thread_n]) {
  steps *= static_cast<int>(gemm_tile_k) / Tile::k;
  if (steps <= 0) return;
  TileLoader<Tile, Tile::m, Left> a(left, m, k);
  TileLoader<Tile, Tile::n, Right> b(right, n, k);
  a.load(left);
  b.load(right);
  a.store(s.a[0]);
  b.store(s.b[0]);
  __syncthreads();
  for (int step = 0; step < steps; ++step) {
    const int half = step & 1;
    const bool more = step + 1 < steps;
    if (more) {
      a.load(left);
      b.load(right);
    }
    multiply<Tile>(s.a[half], s.b[half], sum);
    if (more) {
      a.store(s.a[half ^ 1]);
      b.store(s.b[half ^ 1]);
    }
    __syncthreads();
  }
}

template <class Tile, class Epilogue>
__device__ __forceinline__ void store_sums(const Epilogue& epilogue, int m0, int n0, int m, int n,
                                           const typename Tile::T (&sum)[Tile::thread_m][Tile::thread_n]) {
  using T = typename Tile::T;
  using Rows = Groups<Tile::m, Tile::thread_m>;
  using Columns = Groups<Tile::n, Tile::thread_n>;
  const int thread_row = static_cast<int>(threadIdx.x) / Tile::threads_n, thread_column = static_cast<int>(threadIdx.x) % Tile::threads_n;
  const bool whole = n % Columns::width == 0;
#pragma unroll
  for (int i = 0; i < Tile::thread_m; ++i) {
    const int row = m0 + Rows::place(thread_row, i);
    if (row >= m) continue;
    const auto to = epilogue.row(row);
#pragma unroll
    for (int g = 0; g < Columns::count; ++g) {
      const int column = n0 + Columns::place(thread_column, g * Columns::width);
      cuda::Pack<T, Columns::width> pack;
#pragma unroll
      for (int e = 0; e < Columns::width; ++e)
        pack.v[e] = column + e < n ? epilogue.finish(to, column + e, sum[i][g * Columns::width + e]) : T(0);
      if (whole && column < n) cuda::store(to.at + column, pack);
      if constexpr (Epilogue::writes_mask) epilogue.store_mask(to, column, n, pack);
#pragma unroll
      for (int e = 0; e < Columns::width; ++e)
        if (!whole && column + e < n) to.at[column + e] = pack.v[e];
    }
  }
}

// The product of one slice: m x n, of k only `steps` steps from `first_k` on.
template <class Left, class Right>
struct Slice {
  Left left;
  Right right;
  int m, n, first_k, steps;
};

// Steps of part `split` of k; none is possible.
__device__ __forceinline__ int steps_of(const GemmTiling& tiling, int split, int k) {
  const int all = (k + static_cast<int>(gemm_tile_k) - 1) / static_cast<int>(gemm_tile_k), rest = all - split * tiling.steps;
  return rest < tiling.steps ? rest : tiling.steps;
}

// The same number, of which the compiler knows nothing: what is made of it is made here, and holds no registers before.
__device__ __forceinline__ int opaque(int v) {
#if !defined(G2S_EMULATE)
  asm volatile("" : "+r"(v));
#endif
  return v;
}

template <class Tile, class Gemm>
__global__ void __launch_bounds__(Tile::threads, Tile::min_blocks_per_sm) gemm_kernel(Gemm gemm, cuda::FirstBlock first) {
  auto& s = cuda::shared<Buffers<Tile>>();
  const auto slice = gemm.slice(static_cast<int>(first.z + blockIdx.z));
  const int m0 = static_cast<int>(blockIdx.x) * Tile::m, n0 = static_cast<int>(first.y + blockIdx.y) * Tile::n;
  if (m0 >= slice.m || n0 >= slice.n) return;  // slices may differ in size
  typename Tile::T sum[Tile::thread_m][Tile::thread_n] = {};
  main_loop<Tile>(s, slice.left, slice.right, m0, n0, slice.first_k, slice.steps, sum);
  store_sums<Tile>(gemm.epilogue(opaque(static_cast<int>(first.z + blockIdx.z))), m0, n0, slice.m, slice.n, sum);
}

// For slices of m x n at most.
template <class Tile, class Gemm>
void launch_tiles(const char* name, const Gemm& gemm, int64_t m, int64_t n, int64_t slices) {
  const dim3 blocks(cuda::blocks_for(m, Tile::m), cuda::blocks_for(n, Tile::n), static_cast<unsigned>(slices));
  cuda::launch_in_parts({name, blocks, Tile::threads, sizeof(Buffers<Tile>)}, gemm_kernel<Tile, Gemm>, gemm);
}

template <class Gemm>
void launch(const char* name, const Gemm& gemm, GemmTile tile, int64_t m, int64_t n, int64_t slices) {
  if constexpr (Gemm::vectors)
    if (tile == GemmTile::large) return launch_tiles<Large>(name, gemm, m, n, slices);
  if constexpr (sizeof(typename Gemm::T) == 8) return launch_tiles<Double>(name, gemm, m, n, slices);
  else if (tile == GemmTile::narrow) launch_tiles<Narrow>(name, gemm, m, n, slices);
  else launch_tiles<Medium>(name, gemm, m, n, slices);
}

// p[outer * pitch + k]. Vectors: k and pitch are multiples of four.
template <class T, bool vectors>
struct MatrixAlongK {
  static constexpr bool along_k = true, direct = vectors;
  struct Outer {
    const T* line;  // null beyond the end
  };
  struct Depth {
    int k;
  };
  const T* p;
  int64_t pitch;
  int lines, k;

  __device__ __forceinline__ Outer outer(int i) const { return {i < lines ? p + i * pitch : nullptr}; }
  __device__ __forceinline__ Depth depth(int first) const { return {first}; }
  __device__ __forceinline__ void advance(Depth& d, int by) const { d.k += by; }
  __device__ __forceinline__ const T* origin() const { return p; }
  __device__ __forceinline__ const T* where(const Outer& o, const Depth& d) const { return o.line && d.k < k ? o.line + d.k : nullptr; }
  __device__ __forceinline__ void load(const Outer& o, const Depth& d, cuda::Pack<T, vector>& to) const {
    if constexpr (vectors) {
      const T* from = where(o, d);
      to = from ? cuda::load<vector>(from) : cuda::Pack<T, vector>{};
    } else {
#pragma unroll
      for (int e = 0; e < vector; ++e) to.v[e] = o.line && d.k + e < k ? o.line[d.k + e] : T(0);
    }
  }
};

// p[k * pitch + outer]. Vectors: lines and pitch are multiples of four.
template <class T, bool vectors>
struct MatrixAlongOuter {
  static constexpr bool along_k = false, direct = vectors;
  struct Outer {
    int line;
  };
  struct Depth {
    int k;
  };
  const T* p;
  int64_t pitch;
  int lines, k;

  __device__ __forceinline__ Outer outer(int i) const { return {i}; }
  __device__ __forceinline__ Depth depth(int first) const { return {first}; }
  __device__ __forceinline__ void advance(Depth& d, int by) const { d.k += by; }
  __device__ __forceinline__ const T* origin() const { return p; }
  __device__ __forceinline__ const T* where(const Outer& o, const Depth& d) const {
    return d.k < k && o.line < lines ? p + d.k * pitch + o.line : nullptr;
  }
  __device__ __forceinline__ void load(const Outer& o, const Depth& d, cuda::Pack<T, vector>& to) const {
    if constexpr (vectors) {
      const T* from = where(o, d);
      to = from ? cuda::load<vector>(from) : cuda::Pack<T, vector>{};
    } else {
      const T* from = p + d.k * pitch + o.line;
#pragma unroll
      for (int e = 0; e < vector; ++e) to.v[e] = d.k < k && o.line + e < lines ? from[e] : T(0);
    }
  }
};

// c[m * pitch + n], as it is.
template <class T>
struct PlainEpilogue {
  static constexpr bool writes_mask = false;  // tells where a sum is positive, too
  struct Row {
    T* at;
  };
  T* c;
  int64_t pitch;

  __device__ __forceinline__ Row row(int m) const { return {c + m * pitch}; }
  __device__ __forceinline__ T finish(const Row&, int, T sum) const { return sum; }
};

// y[i] = finish(i, the sum of partial[split * size + i] in order)
template <class T, class Finish>
void sum_split_k(const char* name, const T* partial, int split_k, int64_t size, T* y, Finish finish) {
  cuda::each(name, size, [=] __device__(int64_t i) {
    T sum = partial[i];
    for (int s = 1; s < split_k; ++s) sum += partial[s * size + i];
    y[i] = finish(i, sum);
  });
}

}  // namespace g2s::kernels::gemm
