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
  double* partial;  // CPU: sum_cut(args).partials() values
};

// How the CPU kernel cuts the work, from the sizes alone: into groups of outer indices, or ranges of rows and of columns of one.
struct SumCut {
  std::int64_t group, height, width;                     // outer indices, rows and columns of a piece
  std::int64_t group_parts, row_parts, column_parts;     // pieces along each
  std::int64_t partials(const SumArgs& args) const { return row_parts > 1 ? args.outer * row_parts * args.inner : 0; }
};

static inline SumCut sum_cut(const SumArgs& args) {
  constexpr std::int64_t piece = 1 << 16;     // elements
  constexpr std::int64_t enough_pieces = 64;  // with so many to share out, a column is not split
  constexpr std::int64_t width = 512;         // columns, or a multiple of it
  SumCut cut;
  cut.width = args.inner;
  if (args.inner > width) {
    cut.width = args.reduced * width >= piece ? width : piece / (args.reduced + 1) / width * width;
    if (cut.width < width) cut.width = width;
    if (cut.width > args.inner) cut.width = args.inner;
  }
  cut.column_parts = (args.inner + cut.width - 1) / cut.width;
  cut.height = piece / cut.width;
  if (args.outer * cut.column_parts >= enough_pieces || cut.height < 1 || cut.height > args.reduced) cut.height = args.reduced;
  cut.row_parts = (args.reduced + cut.height - 1) / cut.height;
  cut.group = cut.column_parts == 1 && cut.row_parts == 1 ? piece / (args.reduced * args.inner + 1) : 1;
  if (cut.group < 1) cut.group = 1;
  cut.group_parts = (args.outer + cut.group - 1) / cut.group;
  return cut;
}

// y[0] = smallest and y[1] = largest of n >= 1 elements, NaN if there is one.
struct MinMaxArgs {
  bool f64;
  std::int64_t n;
  const void* x;
  void* y;  // two elements
};

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

G2S_ISA_KERNEL(sum_cpu, SumArgs)
G2S_ISA_KERNEL(min_max_cpu, MinMaxArgs)
G2S_ISA_KERNEL(broadcast_cpu, BroadcastArgs)

}  // namespace g2s::kernels
