// Products that sum over pixels: the gradients to convolution weights, and matrix products with a transposed left side.
#include "engine/parallel.h"
#include "kernels/matmul/gemm_args.h"
#include "kernels/matmul/micro.isa.h"
#include "kernels/sizes.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

constexpr std::int64_t chunk_pixels = 512;  // the pixels between two visits to an output tile: their rows stay in the cache
constexpr std::int64_t piece_flops = 8 << 20;
// Of g, what the panels of a group hold: it is read again for every tile of f's elements. The fewer the pixels, the more panels fit, and the longer
// the stretches of the result that are written: with few pixels the time is that of writing.
constexpr std::int64_t panels_bytes = 48 << 10;

struct Tiling {
  std::int64_t row_tiles, tiles_in_group, groups;  // of f's elements
  std::int64_t panels_in_group, panel_groups;      // of g's elements
  int tile_max;
};

Tiling tiling(const PixelGemmArgs& a) {
  Tiling c{};
  const std::int64_t vectors = min(tile_vectors, divide_up(a.g.width, lanes));
  c.tile_max = tile_rows(static_cast<int>(vectors));
  c.row_tiles = divide_up(a.f.width, c.tile_max);
  const std::int64_t panels = divide_up(a.g.width, panel), pixels = divide_up(a.batch * a.rows * a.columns, a.split_k);
  const std::int64_t panel_bytes = min(pixels, chunk_pixels) * panel * static_cast<std::int64_t>(sizeof(float));
  c.panel_groups = divide_up(panels, min(panels, max(1, panels_bytes / max(1, panel_bytes))));
  c.panels_in_group = divide_up(panels, c.panel_groups);
  const std::int64_t flops = 2 * pixels * c.tile_max * min(a.g.width, panel * c.panels_in_group);
  c.tiles_in_group = min(c.row_tiles, max(1, piece_flops / max(1, flops)));
  // Enough tiles in a group to use each row of g several times, but no more where that leaves few pieces.
  const std::int64_t wanted = max(1, c.row_tiles * a.taps * c.panel_groups * a.split_k / 48);
  c.tiles_in_group = max(c.tiles_in_group, min(c.row_tiles, wanted));
  c.groups = divide_up(c.row_tiles, c.tiles_in_group);
  return c;
}

// First and one-past-last index i in [0, count) with 0 <= i * step + shift < size.
void inside(std::int64_t count, std::int64_t step, std::int64_t shift, std::int64_t size, std::int64_t& first, std::int64_t& last) {
  first = shift >= 0 ? 0 : divide_up(-shift, step);
  last = size - shift <= 0 ? 0 : min(count, (size - 1 - shift) / step + 1);
}

const float* at(const PixelFactor& f, std::int64_t b, std::int64_t row, std::int64_t column) {
  return f.data + ((b * f.rows + row) * f.columns + column) * f.pitch;
}

// The runs of rows [begin, end) of all images for one tap.
std::int64_t find_runs(const PixelGemmArgs& a, std::int64_t tap, std::int64_t begin, std::int64_t end, Run* runs) {
  const std::int64_t dr = a.tap_rows[tap], dc = a.tap_columns[tap];
  const PixelFactor& moved = a.taps_move_f ? a.f : a.g;
  std::int64_t i0, i1, j0, j1;
  inside(a.rows, moved.step, dr, moved.rows, i0, i1);
  inside(a.columns, moved.step, dc, moved.columns, j0, j1);
  const std::int64_t f_row = a.taps_move_f ? dr : 0, f_column = a.taps_move_f ? dc : 0, g_row = dr - f_row, g_column = dc - f_column;
  std::int64_t count = 0;
  if (j1 <= j0) return 0;
  for (std::int64_t r = begin; r < end; ++r) {
    const std::int64_t b = r / a.rows, i = r % a.rows;
    if (i < i0 || i >= i1) continue;
    const float* f = at(a.f, b, i * a.f.step + f_row, j0 * a.f.step + f_column);
    const float* g = at(a.g, b, i * a.g.step + g_row, j0 * a.g.step + g_column);
    if (count > 0) {
      Run& last = runs[count - 1];
      if (last.f + last.length * a.f.step * a.f.pitch == f && last.g + last.length * a.g.step * a.g.pitch == g) {
        last.length += j1 - j0;
        continue;
      }
    }
    runs[count++] = {f, g, j1 - j0};
  }
  return count;
}

void multiply_group(const PixelGemmArgs& a, const Tiling& c, float* target, std::int64_t tap, std::int64_t panel_group, std::int64_t group,
                    std::int64_t begin, std::int64_t end) {
  const std::int64_t first = group * c.tiles_in_group, last = min(c.row_tiles, first + c.tiles_in_group);
  const std::int64_t rows_at_once = max(1, chunk_pixels / a.columns);
  const std::int64_t g_begin = panel_group * c.panels_in_group * panel, g_end = min(a.g.width, g_begin + c.panels_in_group * panel);
  for (std::int64_t row = begin; row == begin || row < end; row += rows_at_once) {
    Run runs[chunk_pixels];
    PixelTile tile{};
    tile.runs = runs;
    tile.run_count = find_runs(a, tap, row, min(end, row + rows_at_once), runs);
    if (tile.run_count == 0 && row > begin) continue;
    tile.f_step = a.f.step * a.f.pitch;
    tile.g_step = a.g.step * a.g.pitch;
    tile.accumulate = row > begin;
    for (std::int64_t i = first; i < last; ++i) {
      const std::int64_t m = i * a.f.width / c.row_tiles, m_end = (i + 1) * a.f.width / c.row_tiles;
      float* rows[max_tile_rows];
      for (std::int64_t r = m; r < m_end; ++r) rows[r - m] = target + r * a.c_m_stride + tap * a.c_tap_stride;
      tile.f_at = m;
      tile.c = rows;
      for (std::int64_t g = g_begin; g < g_end; g += panel) {
        tile.g_at = tile.c_at = g;
        tile.columns = static_cast<int>(min(panel, g_end - g));
        if (tile.columns % lanes == 0) multiply_tile<false>(tile, static_cast<int>(m_end - m));
        else multiply_tile<true>(tile, static_cast<int>(m_end - m));
      }
    }
  }
}

}  // namespace

void pixel_gemm(const PixelGemmArgs& a) {
  const Tiling c = tiling(a);
  const std::int64_t size = a.f.width * a.taps * a.g.width, image_rows = a.batch * a.rows;
  parallel_for(a.split_k * c.panel_groups * a.taps * c.groups, [&](std::int64_t piece) {
    const std::int64_t group = piece % c.groups, tap = piece / c.groups % a.taps, p = piece / (c.groups * a.taps) % c.panel_groups;
    const std::int64_t split = piece / (c.groups * a.taps * c.panel_groups);
    float* target = a.split_k == 1 ? a.c : a.partial + split * size;
    multiply_group(a, c, target, tap, p, group, image_rows * split / a.split_k, image_rows * (split + 1) / a.split_k);
  });
  if (a.split_k == 1) return;
  parallel_blocks(size, 1 << 13, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      float sum = a.partial[i];
      for (std::int64_t s = 1; s < a.split_k; ++s) sum += a.partial[s * size + i];
      a.c[i] = sum;
    }
  });
}

}  // namespace g2s::kernels::G2S_ISA
