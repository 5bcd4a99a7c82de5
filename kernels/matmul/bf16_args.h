// Products of numbers rounded to bfloat16, summed in f32, on plain arguments.
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

// One matrix instruction multiplies 16 rows of 32 elements by a tile of 32 x 16 weights.
constexpr std::int64_t bf16_tile_side = 16;
constexpr std::int64_t bf16_chunk = 32;                                        // elements of k in a tile
constexpr std::int64_t bf16_tile = bf16_tile_side * bf16_chunk;                // numbers in a tile of weights
constexpr std::int64_t bf16_panel = 2 * bf16_tile_side;                        // columns that are computed together
constexpr std::int64_t bf16_most_gathered = 1024;                              // elements of a row that gathers all taps

// A weight as tiles [n / panel][chunks][2][16 pairs of k][16 columns][2], zero where there are no columns.
struct Bf16PackArgs {
  const float* source;
  std::uint16_t* target;          // divide_up(n, panel) * chunks * 2 * tile
  std::int64_t chunks;            // of k
  const std::int64_t* k_offsets;  // [chunks * 32] where in `source` each k is found for column 0; negative: zeros
  std::int64_t n, n_stride;
};

struct EpilogueArgs;  // gemm_args.h

// An image is seen as planes of neighbouring pixels, one for each remainder of row and column by the step of a strided convolution, so that
// a tap is a shift of a whole plane. Pixels of all images follow each other; columns and rows of zeros between them serve as the borders of
// both neighbours:
//   y[b, y_row(i), y_column(j), n] = sum_{t, k} plane(t)[(b * pitch_rows + i) * pitch + j + shift(t), k] * w[t, k, n]
// with y_row(i) = y_first_row + i * y_step. Or, with few channels, all taps of an output are gathered into one row.
struct Bf16GemmArgs {
  const float* x;  // [batch, x_rows, x_columns, k]
  std::int64_t batch, x_rows, x_columns, k;
  std::int64_t x_step;
  const std::uint16_t* weight;  // Bf16PackArgs::target
  float* y;                     // [batch, y_rows, y_columns, n]
  std::int64_t y_rows, y_columns, n;
  std::int64_t y_first_row, y_first_column, y_step;
  std::int64_t rows, columns;        // sizes of i and j
  std::int64_t pitch_rows, pitch;    // of a plane
  std::int64_t width;                // elements of a plane's pixel: k, or the gathered taps, up to a multiple of 32
  std::int64_t gathered;             // taps in a gathered row; 0: planes
  const std::int32_t* tap_rows;      // [gathered]
  const std::int32_t* tap_columns;   // [gathered]
  std::int64_t planes;
  const std::int32_t* plane_rows;     // [planes] remainders
  const std::int32_t* plane_columns;  // [planes]
  std::int64_t chunks;                // of the whole sum
  const std::int32_t* chunk_planes;   // [chunks] the plane of each chunk
  const std::int64_t* chunk_offsets;  // [chunks] elements from an output's own pixel in the plane
  std::int64_t lowest, highest;       // pixels by which the taps shift
  const std::int64_t* starts;         // [tiles] the first of 16 consecutive outputs, counted in pixels of a plane
  std::int64_t tiles;
  std::int64_t tiles_in_block, groups;  // how the work is cut: blocks of outputs, groups of panels of columns
  std::int64_t chunks_at_once;          // of the sum
  std::int64_t panels_at_once;          // that share the reading of the input
  std::uint16_t* converted;             // null: each block converts what it reads. Else room for all planes, for few blocks:
                                        // planes * (span of all outputs and taps) * width, see bf16_span
  const EpilogueArgs* epilogue;         // of the results; null: none
};

// Pixels of a plane that outputs from the first to the last read.
constexpr std::int64_t bf16_span(std::int64_t first, std::int64_t last, std::int64_t lowest, std::int64_t highest) {
  return last + bf16_tile_side + highest - (first + lowest);
}

G2S_BF16_KERNEL(bf16_pack, Bf16PackArgs)
G2S_BF16_KERNEL(bf16_gemm, Bf16GemmArgs)

}  // namespace g2s::kernels
