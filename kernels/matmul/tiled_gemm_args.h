// How CUDA cuts a product c[m, n] = sum_k a[m, k] b[k, n] into blocks. It depends on sizes alone, never on the device: so do the bits.
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

enum class GemmTile : std::int32_t {
  narrow,  // 128 x 16
  medium,  // 64 x 64
  large,   // 128 x 128
  f64,     // 64 x 32
};

// What multiplies f32 numbers. The last two are of tensor cores; sums are f32 with all of them.
enum class MathMode : std::int32_t {
  fma,
  bf16,  // factors rounded to bfloat16
  tf32,  // factors rounded to 11 bits
};

struct GemmTiling {
  GemmTile tile;
  std::int32_t split_k;  // parts of k, whose products are added in order at the end
  std::int32_t steps;    // of gemm_tile_k, in each part
};

static constexpr std::int64_t gemm_tile_k = 16;
static constexpr std::int64_t gemm_tile_m(GemmTile t) { return t == GemmTile::medium || t == GemmTile::f64 ? 64 : 128; }
static constexpr std::int64_t gemm_tile_n(GemmTile t) {
  return t == GemmTile::narrow ? 16 : t == GemmTile::f64 ? 32 : t == GemmTile::medium ? 64 : 128;
}

// For `slices` products of this size in one launch. `vectors`: both operands can be read four elements at a time.
static constexpr GemmTiling gemm_tiling(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t slices, bool vectors, bool f64) {
  constexpr std::int64_t enough_blocks = 264;  // two for each of the processors of a large device
  constexpr std::int64_t least_part = 128;     // of k
  const auto blocks = [=](GemmTile t) {
    return (m + gemm_tile_m(t) - 1) / gemm_tile_m(t) * ((n + gemm_tile_n(t) - 1) / gemm_tile_n(t)) * slices;
  };
  GemmTiling c{GemmTile::medium, 1, 0};
  if (f64) c.tile = GemmTile::f64;
  else if (n <= gemm_tile_n(GemmTile::narrow)) c.tile = GemmTile::narrow;
  else if (vectors && n > gemm_tile_n(GemmTile::medium) && blocks(GemmTile::large) >= enough_blocks / 2) c.tile = GemmTile::large;
  const std::int64_t all_steps = (k + gemm_tile_k - 1) / gemm_tile_k, have = blocks(c.tile), most = k / least_part;
  std::int64_t split_k = have > 0 ? enough_blocks / have : 1;
  split_k = split_k > most ? most : split_k;
  if (split_k < 1) split_k = 1;
  const std::int64_t steps = (all_steps + split_k - 1) / split_k;
  c.steps = static_cast<std::int32_t>(steps);
  c.split_k = static_cast<std::int32_t>(steps > 0 ? (all_steps + steps - 1) / steps : 1);
  return c;
}

// The same with parts that are whole steps of 32 for bf16's tiles.
static constexpr GemmTiling tiling_for(MathMode mode, GemmTiling c, std::int64_t k) {
  if (mode != MathMode::bf16 || c.steps % 2 == 0) return c;
  const std::int64_t all_steps = (k + gemm_tile_k - 1) / gemm_tile_k;
  ++c.steps;
  c.split_k = static_cast<std::int32_t>((all_steps + c.steps - 1) / c.steps);
  return c;
}

}  // namespace g2s::kernels
