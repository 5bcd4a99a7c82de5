// Arguments of Winograd's convolution: m x m outputs of an r x r kernel cost (m + r - 1)^2 products instead of m^2 r^2.
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

struct EpilogueArgs;  // kernels/matmul/gemm_args.h

// A tile has m + r - 1 inputs along a side, 6 for F(4x4, 3x3) and F(2x2, 5x5), 4 for F(2x2, 3x3).
constexpr std::int64_t winograd_points(std::int64_t tile) { return tile * tile; }

// The weight at the points: panels [n / panel][r * r][k][panel], as pack_panels makes them, become [n / panel][tile * tile][k][panel].
struct WinogradWeightArgs {
  const float* panels;
  float* points;
  std::int64_t tile;    // 6 or 4
  std::int64_t kernel;  // r: 3 or 5
  std::int64_t k;
  std::int64_t n;
};

// y[b, i, j, n] = sum_{u, v, k} x[b, i + u - pad_rows, j + v - pad_columns, k] w[u, v, k, n], x being zero outside its image.
struct WinogradArgs {
  const float* x;       // [batch, x_rows, x_columns, k]
  const float* weight;  // WinogradWeightArgs::points
  float* y;             // [batch, y_rows, y_columns, n]
  std::int64_t tile;    // 6 or 4
  std::int64_t kernel;  // r: 3 or 5
  std::int64_t batch, x_rows, x_columns, k;
  std::int64_t y_rows, y_columns, n;
  std::int64_t pad_rows, pad_columns;
  const float* zeros;           // [k] zeros
  std::int64_t tiles_in_block;  // tiles that are taken through all steps together
  // Null: a thread does all of a block. Else room for the points of all tiles, tile^2 * (tiles * k rounded up to 16 + 16) floats: for few
  // blocks, whose output channels are then shared out too.
  float* transformed;
  // [batch][tiles of an image] or null: set to 1 where neighbouring pixels of the tile are equal in all channels, else to 0.
  char* equal_neighbours;
  const EpilogueArgs* epilogue;
};

G2S_ISA_KERNEL(winograd_weight, WinogradWeightArgs)
G2S_ISA_KERNEL(winograd, WinogradArgs)

}  // namespace g2s::kernels
