// The products of tiled_gemm.cuh on tensor cores: the same operands, results and cuts, another main loop.
//
// bf16: f32 is loaded, rounded and stored as bf16, one step ahead of what is multiplied. tf32: asynchronous copies fill a ring of stages,
// and a fragment is rounded on its way from shared memory into the unit. Sums are f32 in both.
//
// A tile of an operand lies in shared memory as the operand lies in memory: [outer][k] or [k][outer]. For bf16 ldmatrix turns the latter;
// tf32 reads it element by element. Rows are padded such that eight of ldmatrix, or the 32 elements of a warp, meet all banks once.
#pragma once

#include "engine/cuda/ptx.cuh"
#include "kernels/matmul/tiled_gemm.cuh"

namespace g2s::kernels::gemm {

template <MathMode mode_, GemmTile shape, int warps_m_, int warps_n_>
struct TensorTile {
  static constexpr MathMode mode = mode_;
  static constexpr bool bf16 = mode == MathMode::bf16;
  using Stored = std::conditional_t<bf16, std::uint16_t, float>;
  static constexpr int m = gemm_tile_m(shape), n = gemm_tile_n(shape), k = bf16 ? 32 : 16;
  static constexpr int mma_m = 16, mma_n = 8, mma_k = bf16 ? 16 : 8;  // of one instruction
  static constexpr int warps_m = warps_m_, warps_n = warps_n_, threads = 32 * warps_m * warps_n;
  static constexpr int tiles_m = m / warps_m / mma_m, tiles_n = n / warps_n / mma_n;  // instructions' results in a warp
  static constexpr int row = 16 / sizeof(Stored);  // elements of a row of ldmatrix
  static_assert(tiles_n % 2 == 0 && mma_k == 2 * row);
};

// A tile of an operand in shared memory.
template <class Tile, int extent, bool along_k>
struct SharedTile {
  static constexpr int lines = along_k ? extent : Tile::k;
  static constexpr int pitch = along_k ? Tile::k + Tile::row : extent + 8;
  alignas(16) typename Tile::Stored v[lines][pitch];
};

// All shared memory of a kernel.
template <class Tile, class Left, class Right>
struct Pipeline {
  static constexpr bool copied = !Tile::bf16 && Left::direct && Right::direct;
  static constexpr int count = copied ? 3 : 2;
  struct Stage {
    SharedTile<Tile, Tile::m, Left::along_k> a;
    SharedTile<Tile, Tile::n, Right::along_k> b;
  };
  Stage stage[count];

  // Blocks of one processor, which bounds the registers. What a large tile holds between memory and shared memory does not fit into 128 of
  // them.
  static constexpr bool large = Tile::threads > 128;
  static constexpr int min_blocks_per_sm = copied ? (large ? 2 : 4) : large ? 1 : 3;
};

// Brings an operand's tiles into shared memory, four elements at a time.
template <class Tile, int extent, class Operand>
class TensorTileLoader {
  using Target = SharedTile<Tile, extent, Operand::along_k>;
  static constexpr bool along_k = Operand::along_k;
  static constexpr int across = (along_k ? Tile::k : extent) / vector, lines_at_once = Tile::threads / across;
  static constexpr int count = (Target::lines + lines_at_once - 1) / lines_at_once;
  static_assert(Tile::threads % across == 0 && (!along_k || lines_at_once % 8 == 0));

 public:
  __device__ __forceinline__ TensorTileLoader(const Operand& operand, int first_outer, int first_k)
      : line_(line_of(static_cast<int>(threadIdx.x) / across)),
        at_(static_cast<int>(threadIdx.x) % across * vector),
        depth_(operand.depth(first_k + (along_k ? at_ : line_))) {
    for (int i = 0; i < (along_k ? count : 1); ++i) outer_[i] = operand.outer(first_outer + (along_k ? line_ + i * lines_at_once : at_));
  }

  // Reads this thread's share and moves on by one step.
  __device__ __forceinline__ void load(const Operand& operand) {
    each(operand, [&](int i, const auto& outer) { operand.load(outer, depth_, loaded_[i]); });
  }

  // What was loaded, rounded if the tile is bf16.
  __device__ __forceinline__ void store(Target& to) const {
#pragma unroll
    for (int i = 0; i < count; ++i) {
      if (!mine(i)) continue;
      auto* place = &to.v[line_ + i * lines_at_once][at_];
      const auto& v = loaded_[i].v;
      if constexpr (Tile::bf16) put(place, {cuda::round_to_bf16(v[0], v[1]), cuda::round_to_bf16(v[2], v[3])});
      else cuda::store(place, loaded_[i]);
    }
  }

  // Begins to copy this thread's share and moves on by one step.
  __device__ __forceinline__ void copy(const Operand& operand, Target& to) {
    each(operand, [&](int i, const auto& outer) {
      const float* from = operand.where(outer, depth_);
      cuda::copy_async<16>(&to.v[line_ + i * lines_at_once][at_], from ? from : operand.origin(), from != nullptr);
    });
  }

 private:
  // The threads that store at once, half or a quarter of a warp, have two lines. Four apart, these lie in different banks; neighbours would not.
  __device__ static __forceinline__ int line_of(int i) { return along_k ? i / 8 * 8 + i % 2 * 4 + i / 2 % 4 : i; }
  __device__ __forceinline__ bool mine(int i) const {
    return Target::lines % lines_at_once == 0 || line_ + i * lines_at_once < Target::lines;
  }
  __device__ static __forceinline__ void put(void* to, const cuda::Pack<unsigned, 2>& four) {
    cuda::store(static_cast<unsigned*>(to), four);
  }
  // f(i, where its line is) for this thread's lines, depth_ being right for each.
  template <class F>
  __device__ __forceinline__ void each(const Operand& operand, F f) {
    static_assert(along_k || Target::lines % lines_at_once == 0);
#pragma unroll
    for (int i = 0; i < count; ++i) {
      if (mine(i)) f(i, outer_[along_k ? i : 0]);
      if (!along_k) operand.advance(depth_, lines_at_once);
    }
    if (along_k) operand.advance(depth_, Tile::k);
  }

  int line_, at_;
  typename Operand::Depth depth_;
  typename Operand::Outer outer_[along_k ? count : 1];
  cuda::Pack<float, vector> loaded_[count];
};

// Fragments of mma (ptx.cuh): of a 16 rows from `first` on, of b twice 8 columns; k from `k` on.
template <class Tile, bool along_k>
__device__ __forceinline__ void fetch_left(const SharedTile<Tile, Tile::m, along_k>& a, int first, int k, unsigned (&to)[4]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if constexpr (along_k) {
    cuda::ldmatrix(to, &a.v[first + lane % 16][k + lane / 16 * Tile::row]);
  } else if constexpr (Tile::bf16) {
    cuda::ldmatrix_transposed(to, &a.v[k + lane % 8 + lane / 16 * 8][first + lane / 8 % 2 * 8]);
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) to[i] = __float_as_uint(a.v[k + lane % 4 + i / 2 * 4][first + lane / 4 + i % 2 * 8]);
  }
}

template <class Tile, bool along_k>
__device__ __forceinline__ void fetch_right(const SharedTile<Tile, Tile::n, along_k>& b, int first, int k, unsigned (&to)[4]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if constexpr (along_k) {
    cuda::ldmatrix(to, &b.v[first + lane % 8 + lane / 16 * 8][k + lane / 8 % 2 * Tile::row]);
  } else if constexpr (Tile::bf16) {
    cuda::ldmatrix_transposed(to, &b.v[k + lane % 16][first + lane / 16 * 8]);
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) to[i] = __float_as_uint(b.v[k + lane % 4 + i % 2 * 4][first + lane / 4 + i / 2 * 8]);
  }
}

template <class Tile>
using TensorSums = float[Tile::tiles_m][Tile::tiles_n][4];

// A factor as the unit takes it.
template <class Tile, int count>
struct Factor {
  unsigned v[count];

  __device__ __forceinline__ Factor(const unsigned* raw) {
#pragma unroll
    for (int i = 0; i < count; ++i) v[i] = Tile::bf16 ? raw[i] : cuda::round_to_tf32(__uint_as_float(raw[i]));
  }
};

template <class Tile>
__device__ __forceinline__ void multiply_mma(const Factor<Tile, 4>& a, const Factor<Tile, 2>& b, float (&sum)[4]) {
  if constexpr (Tile::bf16) cuda::mma_bf16(sum, a.v, b.v);
  else cuda::mma_tf32(sum, a.v, b.v);
}

// This warp's part, of k only Tile::mma_k from `k` on.
template <class Tile, bool left_along_k, bool right_along_k>
__device__ __forceinline__ void multiply_slice(const SharedTile<Tile, Tile::m, left_along_k>& a,
                                               const SharedTile<Tile, Tile::n, right_along_k>& b, int k, TensorSums<Tile>& sum) {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int first_m = warp / Tile::warps_n * (Tile::tiles_m * Tile::mma_m), first_n = warp % Tile::warps_n * (Tile::tiles_n * Tile::mma_n);
  unsigned right[Tile::tiles_n / 2][4];
#pragma unroll
  for (int j = 0; j < Tile::tiles_n / 2; ++j) fetch_right<Tile, right_along_k>(b, first_n + j * 16, k, right[j]);
#pragma unroll
  for (int i = 0; i < Tile::tiles_m; ++i) {
    unsigned left[4];
    fetch_left<Tile, left_along_k>(a, first_m + i * Tile::mma_m, k, left);
    const Factor<Tile, 4> factor(left);
#pragma unroll
    for (int j = 0; j < Tile::tiles_n; ++j) multiply_mma<Tile>(factor, Factor<Tile, 2>(&right[j / 2][j % 2 * 2]), sum[i][j]);
  }
}

// While a step multiplies, the next one's tiles arrive in registers; they were asked for a step ago.
template <class Tile, class Left, class Right>
__device__ __forceinline__ void loop_through_registers(Pipeline<Tile, Left, Right>& s, const Left& left, const Right& right, int m, int n,
                                                       int k, int steps, TensorSums<Tile>& sum) {
  TensorTileLoader<Tile, Tile::m, Left> a(left, m, k);
  TensorTileLoader<Tile, Tile::n, Right> b(right, n, k);
  const auto load = [&] {
    a.load(left);
    b.load(right);
  };
  const auto store = [&](int stage) {
    a.store(s.stage[stage].a);
    b.store(s.stage[stage].b);
  };
  load();
  store(0);
  if (steps > 1) load();
  __syncthreads();
  for (int step = 0; step < steps; ++step) {
    const int now = step & 1;
    if (step + 1 < steps) store(now ^ 1);
    if (step + 2 < steps) load();
#pragma unroll
    for (int slice = 0; slice < Tile::k; slice += Tile::mma_k)
      multiply_slice<Tile, Left::along_k, Right::along_k>(s.stage[now].a, s.stage[now].b, slice, sum);
    __syncthreads();
  }
}

// Each step begins one more copy, into the stage that the step before has left.
template <class Tile, class Left, class Right>
__device__ __forceinline__ void loop_with_copies(Pipeline<Tile, Left, Right>& s, const Left& left, const Right& right, int m, int n, int k,
                                                 int steps, TensorSums<Tile>& sum) {
  constexpr int stages = Pipeline<Tile, Left, Right>::count;
  TensorTileLoader<Tile, Tile::m, Left> a(left, m, k);
  TensorTileLoader<Tile, Tile::n, Right> b(right, n, k);
  int ahead = 0, target = 0, at = 0;
  const auto begin_copy = [&] {
    if (ahead++ < steps) {
      a.copy(left, s.stage[target].a);
      b.copy(right, s.stage[target].b);
      target = target + 1 == stages ? 0 : target + 1;
    }
    cuda::commit_copies();  // an empty group too: the count of groups is what is waited for
  };
  for (int i = 0; i + 1 < stages; ++i) begin_copy();
  for (int step = 0; step < steps; ++step) {
    cuda::wait_for_copies<stages - 2>();
    __syncthreads();
    begin_copy();
#pragma unroll
    for (int slice = 0; slice < Tile::k; slice += Tile::mma_k)
      multiply_slice<Tile, Left::along_k, Right::along_k>(s.stage[at].a, s.stage[at].b, slice, sum);
    at = at + 1 == stages ? 0 : at + 1;
  }
}

template <class Tile, class Epilogue>
__device__ __forceinline__ void store_tensor_sums(const Epilogue& epilogue, int m0, int n0, int m, int n, const TensorSums<Tile>& sum) {
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int first_row = m0 + warp / Tile::warps_n * (Tile::tiles_m * Tile::mma_m) + lane / 4;
  const int first_column = n0 + warp % Tile::warps_n * (Tile::tiles_n * Tile::mma_n) + lane % 4 * 2;
  const bool whole = n % 2 == 0;
#pragma unroll
  for (int i = 0; i < 2 * Tile::tiles_m; ++i) {
    const int row = first_row + i * 8;
    if (row >= m) continue;
    const auto to = epilogue.row(row);
#pragma unroll
    for (int j = 0; j < Tile::tiles_n; ++j) {
      const int column = first_column + j * Tile::mma_n;
      cuda::Pack<float, 2> pack;
#pragma unroll
      for (int e = 0; e < 2; ++e) pack.v[e] = column + e < n ? epilogue.finish(to, column + e, sum[i / 2][j][i % 2 * 2 + e]) : 0.0f;
      if (whole && column < n) cuda::store(to.at + column, pack);
      if constexpr (Epilogue::writes_mask) epilogue.store_mask(to, column, n, pack);
#pragma unroll
      for (int e = 0; e < 2; ++e)
        if (!whole && column + e < n) to.at[column + e] = pack.v[e];
    }
  }
}

template <class Tile, class Left, class Right>
Pipeline<Tile, Left, Right> pipeline_of(const Slice<Left, Right>&);

template <class Tile, class Gemm>
using PipelineOf = decltype(pipeline_of<Tile>(std::declval<Gemm>().slice(0)));

template <class Tile, class Gemm>
__global__ void __launch_bounds__(Tile::threads, PipelineOf<Tile, Gemm>::min_blocks_per_sm)
    tensor_kernel(Gemm gemm, cuda::FirstBlock first) {
  auto& s = cuda::shared<PipelineOf<Tile, Gemm>>();
  const auto slice = gemm.slice(static_cast<int>(first.z + blockIdx.z));
  const int m0 = static_cast<int>(blockIdx.x) * Tile::m, n0 = static_cast<int>(first.y + blockIdx.y) * Tile::n;
  if (m0 >= slice.m || n0 >= slice.n) return;  // slices may differ in size
  constexpr int per_step = Tile::k / static_cast<int>(gemm_tile_k);
  const int steps = slice.steps > 0 ? (slice.steps + per_step - 1) / per_step : 0;
  TensorSums<Tile> sum = {};
  if (steps > 0) {
    if constexpr (PipelineOf<Tile, Gemm>::copied) loop_with_copies(s, slice.left, slice.right, m0, n0, slice.first_k, steps, sum);
    else loop_through_registers(s, slice.left, slice.right, m0, n0, slice.first_k, steps, sum);
  }
  store_tensor_sums<Tile>(gemm.epilogue(opaque(static_cast<int>(first.z + blockIdx.z))), m0, n0, slice.m, slice.n, sum);
}

template <class Tile, class Gemm>
void launch_tensor_tiles(const char* name, const Gemm& gemm, int64_t m, int64_t n, int64_t slices) {
  const dim3 blocks(cuda::blocks_for(m, Tile::m), cuda::blocks_for(n, Tile::n), static_cast<unsigned>(slices));
  cuda::launch_in_parts({name, blocks, Tile::threads, sizeof(PipelineOf<Tile, Gemm>)}, tensor_kernel<Tile, Gemm>, gemm);
}

// As gemm::launch, on `mode` where the device has it and the product suits it; else on fma, whose results are no worse. For bf16, cuts are
// even.
template <class Gemm>
void launch(const char* name, const Gemm& gemm, MathMode mode, GemmTile tile, int64_t m, int64_t n, int64_t slices) {
  constexpr auto bf16 = MathMode::bf16, tf32 = MathMode::tf32;
  if (mode == MathMode::fma || !cuda::tensor_cores()) return launch(name, gemm, tile, m, n, slices);
  if constexpr (Gemm::vectors) {
    if (tile == GemmTile::large) {
      if (mode == bf16) return launch_tensor_tiles<TensorTile<bf16, GemmTile::large, 2, 4>>(name, gemm, m, n, slices);
      return launch_tensor_tiles<TensorTile<tf32, GemmTile::large, 2, 4>>(name, gemm, m, n, slices);
    }
    if (tile == GemmTile::medium && mode == tf32)
      return launch_tensor_tiles<TensorTile<tf32, GemmTile::medium, 2, 2>>(name, gemm, m, n, slices);
  }
  if (mode != bf16) return launch(name, gemm, tile, m, n, slices);  // few columns, or rows that 16 bytes do not divide
  if (tile == GemmTile::narrow) return launch_tensor_tiles<TensorTile<bf16, GemmTile::narrow, 4, 1>>(name, gemm, m, n, slices);
  launch_tensor_tiles<TensorTile<bf16, GemmTile::medium, 2, 2>>(name, gemm, m, n, slices);
}

}  // namespace g2s::kernels::gemm
