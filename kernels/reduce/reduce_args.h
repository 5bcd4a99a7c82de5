#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

// y[o,i] = scale * sum over r of x[o,r,i] * (w ? w[o,r,i] : 1)
struct SumArgs {
  bool f64;  // double, else float (summed in double)
  std::int64_t outer, reduced, inner;  // x is [outer, reduced, inner], y is [outer, inner]
  const void* x;
  const void* w;  // null, or a second factor of x's shape
  void* y;
  double scale;
  double* partial;  // sum_tiling(args).partials() values on the CPU, sum_grid(args).partials(args) on CUDA
};

// How the CPU kernel cuts the work, from the sizes alone: into groups of outer indices, or ranges of rows and of columns of one.
struct SumTiling {
  std::int64_t group, height, width;                     // outer indices, rows and columns of a piece
  std::int64_t group_parts, row_parts, column_parts;     // pieces along each
  std::int64_t partials(const SumArgs& args) const { return row_parts > 1 ? args.outer * row_parts * args.inner : 0; }
};

static inline SumTiling sum_tiling(const SumArgs& args) {
  constexpr std::int64_t piece = 1 << 16;     // elements
  constexpr std::int64_t enough_pieces = 64;  // with so many to share out, a column is not split
  constexpr std::int64_t width = 512;         // columns, or a multiple of it
  SumTiling tiling;
  tiling.width = args.inner;
  if (args.inner > width) {
    tiling.width = args.reduced * width >= piece ? width : piece / (args.reduced + 1) / width * width;
    if (tiling.width < width) tiling.width = width;
    if (tiling.width > args.inner) tiling.width = args.inner;
  }
  tiling.column_parts = (args.inner + tiling.width - 1) / tiling.width;
  tiling.height = piece / tiling.width;
  if (args.outer * tiling.column_parts >= enough_pieces || tiling.height < 1 || tiling.height > args.reduced) tiling.height = args.reduced;
  tiling.row_parts = (args.reduced + tiling.height - 1) / tiling.height;
  tiling.group = tiling.column_parts == 1 && tiling.row_parts == 1 ? piece / (args.reduced * args.inner + 1) : 1;
  if (tiling.group < 1) tiling.group = 1;
  tiling.group_parts = (args.outer + tiling.group - 1) / tiling.group;
  return tiling;
}

// How the CUDA kernels cut the work.
enum class SumPath : std::int32_t {
  thread,  // one for each output
  warp,    // one for each output: inner is 1
  block,   // for a tile of columns of one outer index over a part of the rows; neighbouring threads have neighbouring columns, then rows
};
struct SumGrid {
  SumPath path;
  std::int64_t width, tiles;      // columns of a block, and blocks along them
  std::int64_t part_rows, parts;  // rows of a block, and blocks along them
  std::int64_t partials(const SumArgs& args) const { return parts > 1 ? args.outer * parts * args.inner : 0; }
};

static inline SumGrid sum_grid(const SumArgs& args) {
  constexpr std::int64_t threads = 256, width = 32;
  constexpr std::int64_t enough_blocks = 1024;  // some for every multiprocessor
  constexpr std::int64_t least = 16;            // rows that a thread has to add to be worth it
  SumGrid grid{SumPath::block, 1, 1, args.reduced, 1};
  if (args.reduced <= least || (args.inner >= width && args.outer * args.inner >= threads * enough_blocks)) grid.path = SumPath::thread;
  else if (args.inner == 1 && args.reduced <= 1024) grid.path = SumPath::warp;
  if (grid.path != SumPath::block) return grid;
  grid.width = args.inner < 2 * width ? args.inner : width;
  grid.tiles = (args.inner + grid.width - 1) / grid.width;
  const std::int64_t step = threads / grid.width * least;
  const std::int64_t most = (args.reduced + step - 1) / step;
  grid.parts = enough_blocks / (args.outer * grid.tiles);
  if (grid.parts > most) grid.parts = most;
  if (grid.parts < 1) grid.parts = 1;
  grid.part_rows = (args.reduced + grid.parts - 1) / grid.parts;
  grid.parts = (args.reduced + grid.part_rows - 1) / grid.part_rows;
  return grid;
}

// y[0] = smallest and y[1] = largest of n >= 1 elements, NaN if there is one.
struct MinMaxArgs {
  bool f64;
  std::int64_t n;
  const void* x;
  void* y;  // two elements; on CUDA room for min_max_room(n)
};

// Elements of y that the CUDA kernel wants: the result, and the extremes of blocks.
static constexpr std::int64_t min_max_blocks(std::int64_t n) {
  constexpr std::int64_t block = 4096, most = 512;
  const std::int64_t blocks = (n + block - 1) / block;
  return blocks < most ? blocks : most;
}
static constexpr std::int64_t min_max_room(std::int64_t n) { return 2 + (min_max_blocks(n) > 1 ? 2 * min_max_blocks(n) : 0); }

// Copies x into every place of y that it broadcasts to.
struct BroadcastArgs {
  std::int64_t element;  // bytes of an element: 1, 2, 4 or 8
  const void* x;
  void* y;  // contiguous
  // Dimensions of y, innermost first, merged where possible. stride is in elements of x, 0 where it is broadcast.
  std::int32_t rank;
  std::int64_t size[6];
  std::int64_t stride[6];
};

G2S_KERNEL(sum, SumArgs)
G2S_KERNEL(min_max, MinMaxArgs)
G2S_KERNEL(broadcast, BroadcastArgs)

}  // namespace g2s::kernels
