// Sums run in double, in an order that the sizes alone decide: every thread adds up its rows one after another, threads are added in a tree,
// and what blocks have summed is summed by a second launch of the same kernel.
#include "engine/cuda/launch.cuh"
#include "kernels/reduce/reduce_args.h"

namespace g2s::kernels {
namespace {

constexpr unsigned threads = 256;
constexpr unsigned warps = threads / 32;

// The terms first, first + step, ... below end of one column, whose rows lie `pitch` elements apart. Four are added in T before they are widened:
// many GPUs convert to double more slowly than they read.
template <class T>
__device__ inline double column_sum(const T* x, const T* w, std::int64_t first, std::int64_t end, std::int64_t step, std::int64_t pitch) {
  double sum = 0;
  std::int64_t r = first;
  x += first * pitch;
  const std::int64_t stride = step * pitch;
  if (w) {
    w += first * pitch;
    for (; r < end; r += step, x += stride, w += stride) sum += static_cast<double>(*x) * static_cast<double>(*w);
    return sum;
  }
  for (; r + 3 * step < end; r += 4 * step, x += 4 * stride)
    sum += static_cast<double>((x[0] + x[stride]) + (x[2 * stride] + x[3 * stride]));
  for (; r < end; r += step, x += stride) sum += static_cast<double>(*x);
  return sum;
}

template <class X, class Y>
struct BlockSums {
  const X* x;
  const X* w;
  Y* y;  // [outer, parts, inner]
  std::int64_t reduced, inner;
  std::int64_t tiles, part_rows, parts;
  unsigned width;
  double scale;
};

struct BlockTile {
  double sum[threads];
};

template <class X, class Y>
__global__ void __launch_bounds__(threads) block_sums(BlockSums<X, Y> a) {
  auto& s = cuda::shared<BlockTile>();
  const unsigned t = threadIdx.x, row = t / a.width, rows = threads / a.width;
  const std::int64_t tile = blockIdx.x % a.tiles, rest = blockIdx.x / a.tiles, part = rest % a.parts, o = rest / a.parts;
  const std::int64_t column = tile * a.width + t % a.width;
  const std::int64_t begin = part * a.part_rows, end = begin + a.part_rows < a.reduced ? begin + a.part_rows : a.reduced;
  const bool works = row < rows && column < a.inner;
  const std::int64_t start = o * a.reduced * a.inner + column;
  s.sum[t] = works ? column_sum(a.x + start, a.w ? a.w + start : nullptr, begin + row, end, rows, a.inner) : 0.0;
  unsigned half = 1;
  while (2 * half < rows) half *= 2;
  for (; half > 0; half /= 2) {
    __syncthreads();
    if (row < half && row + half < rows) s.sum[t] += s.sum[t + half * a.width];
  }
  if (row == 0 && works) a.y[(o * a.parts + part) * a.inner + column] = static_cast<Y>(a.scale * s.sum[t]);
}

template <class T>
__global__ void __launch_bounds__(threads) warp_sums(const T* x, const T* w, T* y, std::int64_t outer, std::int64_t reduced, double scale) {
  const std::int64_t o = std::int64_t{blockIdx.x} * warps + threadIdx.x / 32;
  if (o >= outer) return;
  const double sum = cuda::warp_sum(column_sum(x + o * reduced, w ? w + o * reduced : nullptr, threadIdx.x % 32, reduced, 32, 1));
  if (threadIdx.x % 32 == 0) y[o] = static_cast<T>(scale * sum);
}

template <class T>
void thread_sums(const SumArgs& args) {
  const auto* x = static_cast<const T*>(args.x);
  const auto* w = static_cast<const T*>(args.w);
  auto* y = static_cast<T*>(args.y);
  const std::int64_t reduced = args.reduced, inner = args.inner;
  const double scale = args.scale;
  cuda::each("sum_thread", args.outer * inner, [=] __device__(std::int64_t i) {
    const std::int64_t start = inner == 1 ? i * reduced : i / inner * reduced * inner + i % inner;
    y[i] = static_cast<T>(scale * column_sum(x + start, w ? w + start : nullptr, 0, reduced, 1, inner));
  });
}

template <class X, class Y>
void launch_blocks(const SumArgs& args, const SumGrid& grid, const X* x, const X* w, Y* y, double scale) {
  const BlockSums<X, Y> a{x, w, y, args.reduced, args.inner, grid.tiles, grid.part_rows, grid.parts, static_cast<unsigned>(grid.width), scale};
  cuda::launch({"sum_block", cuda::blocks_for(args.outer * grid.parts * grid.tiles, 1), threads, sizeof(BlockTile)}, block_sums<X, Y>, a);
}

template <class T>
void sum(const SumArgs& args) {
  const SumGrid grid = sum_grid(args);
  const auto* x = static_cast<const T*>(args.x);
  const auto* w = static_cast<const T*>(args.w);
  auto* y = static_cast<T*>(args.y);
  if (grid.path == SumPath::thread) return thread_sums<T>(args);
  if (grid.path == SumPath::warp) {
    cuda::launch({"sum_warp", cuda::blocks_for(args.outer, warps), threads}, warp_sums<T>, x, w, y, args.outer, args.reduced, args.scale);
    return;
  }
  if (grid.parts == 1) return launch_blocks(args, grid, x, w, y, args.scale);
  launch_blocks(args, grid, x, w, args.partial, 1);
  SumArgs rest = args;
  rest.reduced = grid.parts;
  SumGrid one = grid;
  one.part_rows = grid.parts;
  one.parts = 1;
  launch_blocks<double, T>(rest, one, args.partial, nullptr, y, args.scale);
}

// The extremes of what they have seen; a NaN stays.
template <class T>
struct Extremes {
  T low, high;

  __device__ void add(T lo, T hi) {
    low = lo < low || lo != lo ? lo : low;
    high = hi > high || hi != hi ? hi : high;
  }
};

template <class T>
struct ExtremesTile {
  T low[threads], high[threads];  // pairs would meet twice in each bank
};

// Each block leaves the extremes of its share.
template <class T>
__global__ void __launch_bounds__(threads) extremes(const T* x, std::int64_t n, T* y) {
  auto& s = cuda::shared<ExtremesTile<T>>();
  const unsigned t = threadIdx.x;
  Extremes<T> own{x[0], x[0]};
  for (std::int64_t i = std::int64_t{blockIdx.x} * threads + t; i < n; i += std::int64_t{gridDim.x} * threads) own.add(x[i], x[i]);
  s.low[t] = own.low, s.high[t] = own.high;
  for (unsigned half = threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (t >= half) continue;
    own.add(s.low[t + half], s.high[t + half]);
    s.low[t] = own.low, s.high[t] = own.high;
  }
  if (t > 0) return;
  y[2 * blockIdx.x] = own.low;
  y[2 * blockIdx.x + 1] = own.high;
}

template <class T>
void min_max(const MinMaxArgs& args) {
  const auto* x = static_cast<const T*>(args.x);
  auto* y = static_cast<T*>(args.y);
  const std::int64_t blocks = min_max_blocks(args.n);
  T* first = blocks > 1 ? y + 2 : y;
  cuda::launch({"min_max", static_cast<unsigned>(blocks), threads, sizeof(ExtremesTile<T>)}, extremes<T>, x, args.n, first);
  // The extremes of all lows and highs are the extremes.
  if (blocks > 1) cuda::launch({"min_max", 1, threads, sizeof(ExtremesTile<T>)}, extremes<T>, first, 2 * blocks, y);
}

// Index is 32 bits wide where that is enough: divisions of 64 bits take longer than the copy.
template <class T, class Index>
void broadcast(const BroadcastArgs& g, std::int64_t count) {
  cuda::each("broadcast", count, [=] __device__(std::int64_t i) {
    std::int64_t at = 0;
    Index rest = static_cast<Index>(i);
    for (int d = 0; d < 6; ++d) {  // a constant bound: unrolled, the arguments stay where they are
      if (d == g.rank) break;
      const Index size = static_cast<Index>(g.size[d]);
      at += static_cast<std::int64_t>(rest % size) * g.stride[d];
      rest /= size;
    }
    static_cast<T*>(g.y)[i] = static_cast<const T*>(g.x)[at];
  });
}

template <class T>
void broadcast(const BroadcastArgs& g) {
  std::int64_t count = 1;
  for (int d = 0; d < g.rank; ++d) count *= g.size[d];
  if (count < std::int64_t{1} << 32) broadcast<T, std::uint32_t>(g, count);
  else broadcast<T, std::uint64_t>(g, count);
}

}  // namespace

void sum_cuda(const SumArgs& args) { args.f64 ? sum<double>(args) : sum<float>(args); }
void min_max_cuda(const MinMaxArgs& args) { args.f64 ? min_max<double>(args) : min_max<float>(args); }

void broadcast_cuda(const BroadcastArgs& args) {
  switch (args.element) {
    case 1: return broadcast<std::uint8_t>(args);
    case 2: return broadcast<std::uint16_t>(args);
    case 4: return broadcast<std::uint32_t>(args);
    default: return broadcast<std::uint64_t>(args);
  }
}

}  // namespace g2s::kernels
