// Products whose left rows are found through pointers: convolutions without an im2col copy.
#include "engine/parallel.h"
#include "kernels/matmul/epilogue.isa.h"
#include "kernels/matmul/gemm_args.h"
#include "kernels/matmul/micro.isa.h"
#include "kernels/sizes.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

constexpr std::int64_t table_size = 8192;     // pointers
constexpr std::int64_t block_tiles = 16;      // tiles that share a pass over a panel
constexpr std::int64_t k_block = 1024;        // elements of k whose panel stays in the cache
constexpr std::int64_t piece_flops = 4 << 20;  // some tens of microseconds
constexpr std::int64_t few_positions = 64;

// The output pixels in the order in which tiles take them.
class Pixels {
 public:
  explicit Pixels(const IndirectGemmArgs& args) : a_(args) {
    // In small images neighbouring pixels miss different taps; the same pixel of all images misses the same, which are then skipped.
    batch_first_ = a_.taps > 1 && a_.batch > 1 && a_.rows * a_.columns <= few_positions;
  }
  std::int64_t count() const { return a_.batch * a_.rows * a_.columns; }

  // Pointers of pixels [begin, begin + count) for every tap, and where their results go.
  void locate(std::int64_t begin, int count, std::int64_t pitch, const float** table, float** y) const {
    std::int64_t b[max_tile_rows], row[max_tile_rows], column[max_tile_rows];
    for (int m = 0; m < count; ++m) {
      position(begin + m, b[m], row[m], column[m]);
      y[m] = a_.y + ((b[m] * a_.y_rows + a_.y_first_row + row[m] * a_.y_step) * a_.y_columns + a_.y_first_column + column[m] * a_.y_step) * a_.n;
      row[m] *= a_.x_step;
      column[m] *= a_.x_step;
    }
    for (std::int64_t t = 0; t < a_.taps; ++t) {
      bool any = false;
      for (int m = 0; m < count; ++m) {
        const std::int64_t r = row[m] + a_.tap_rows[t], c = column[m] + a_.tap_columns[t];
        const bool inside = r >= 0 && r < a_.x_rows && c >= 0 && c < a_.x_columns;
        any |= inside;
        table[t * pitch + m] = inside ? a_.x + ((b[m] * a_.x_rows + r) * a_.x_columns + c) * a_.k : a_.zeros;
      }
      if (!any) table[t * pitch] = nullptr;
    }
  }

 private:
  void position(std::int64_t i, std::int64_t& b, std::int64_t& row, std::int64_t& column) const {
    if (batch_first_) {
      b = i % a_.batch;
      i /= a_.batch;
      row = i / a_.columns;
    } else {
      row = i / a_.columns;
      b = row / a_.rows;
      row -= b * a_.rows;
      column = i % a_.columns;
      return;
    }
    column = i % a_.columns;
  }
  const IndirectGemmArgs& a_;
  bool batch_first_;
};

// How the work is cut: by sizes alone.
struct Tiling {
  std::int64_t tiles, tile_max, tiles_in_block, blocks;  // blocks of tiles of pixels
  std::int64_t groups, panels_in_group;                  // groups of panels of columns
  std::int64_t panel_count;
};

Tiling tiling(const IndirectGemmArgs& a, std::int64_t pixels, std::int64_t tile_max, std::int64_t panel_columns) {
  Tiling p{};
  p.tile_max = tile_max;
  p.tiles = divide_up(pixels, tile_max);
  p.tiles_in_block = max(1, min(block_tiles, table_size / (max(1, a.taps) * tile_max)));
  p.blocks = divide_up(p.tiles, p.tiles_in_block);
  p.panel_count = divide_up(a.n, panel_columns);
  const std::int64_t flops = 2 * p.tiles_in_block * tile_max * max(1, a.taps) * a.tap_width * a.k * min(a.n, panel_columns);
  p.panels_in_group = min(p.panel_count, max(1, piece_flops / max(1, flops)));
  p.groups = divide_up(p.panel_count, p.panels_in_group);
  return p;
}

struct Block {
  const float* table[table_size];
  float* y[block_tiles][max_tile_rows];
  int size[block_tiles];
  std::int64_t count = 0;
};

void gather(const Pixels& pixels, const Tiling& p, std::int64_t taps, std::int64_t block, Block& out) {
  const std::int64_t first = block * p.tiles_in_block, last = min(p.tiles, first + p.tiles_in_block);
  out.count = last - first;
  for (std::int64_t i = first; i < last; ++i) {
    // Tiles of nearly equal size, so that the last one is no sliver.
    const std::int64_t begin = i * pixels.count() / p.tiles, end = (i + 1) * pixels.count() / p.tiles;
    out.size[i - first] = static_cast<int>(end - begin);
    pixels.locate(begin, static_cast<int>(end - begin), p.tile_max, out.table + (i - first) * taps * p.tile_max, out.y[i - first]);
  }
}

// Finishes the columns [column, column + columns) of the rows y, which were just computed.
void finish_rows(const IndirectGemmArgs& a, float* const* y, int rows, std::int64_t column, int columns) {
  const std::int64_t pixels = a.y_rows * a.y_columns;
  for (int m = 0; m < rows; ++m) {
    const std::int64_t at = (y[m] - column - a.y) / a.n, b = at / pixels;
    const float noise = noise_at(a.epilogue, b, pixels, at % pixels);
    for (int n = 0; n < columns; n += lanes) {
      const int count = columns - n < lanes ? columns - n : lanes;
      const ChannelEpilogue finish(a.epilogue, a.n, b, column + n, count);
      if (count == lanes) store(y[m] + n, finish(load(y[m] + n), noise));
      else store_first(y[m] + n, finish(load_first(y[m] + n, count), noise), count);
    }
  }
}

void multiply_block(const IndirectGemmArgs& a, const Tiling& p, const Block& block, const std::int64_t* offsets, std::int64_t panel_index) {
  const std::int64_t column = panel_index * panel, k = a.k * a.tap_width;
  const bool packed = a.layout == WeightLayout::panels;
  const int columns = static_cast<int>(min(panel, a.n - column));
  const std::int64_t taps_at_once = max(1, k_block / max(1, k));
  for (std::int64_t tap = 0; tap == 0 || tap < a.taps; tap += taps_at_once) {
    for (std::int64_t i = 0; i < block.count; ++i) {
      float* y[max_tile_rows];
      for (int m = 0; m < block.size[i]; ++m) y[m] = block.y[i][m] + column;
      RowTile tile{};
      tile.a = block.table + (i * a.taps + tap) * p.tile_max;
      tile.a_pitch = p.tile_max;
      tile.taps = min(taps_at_once, a.taps - tap);
      tile.k = k;
      tile.b = packed ? a.w + panel_index * a.taps * k * panel : a.w + column;
      tile.b_stride = packed ? panel : a.w_stride;
      tile.b_offsets = offsets + tap;
      tile.y = y;
      tile.columns = columns;
      tile.accumulate = tap > 0;
      if (packed || columns % lanes == 0) multiply_tile<false>(tile, block.size[i]);
      else multiply_tile<true>(tile, block.size[i]);
      if (a.epilogue.wanted && tap + taps_at_once >= a.taps) finish_rows(a, y, block.size[i], column, columns);
    }
  }
}

void dot_block(const IndirectGemmArgs& a, const Tiling& p, const Block& block, std::int64_t column, int columns) {
  for (std::int64_t i = 0; i < block.count; ++i) {
    float* y[max_tile_rows];
    for (int m = 0; m < block.size[i]; ++m) y[m] = block.y[i][m] + column;
    RowTile tile{};
    tile.a = block.table + i * a.taps * p.tile_max;
    tile.a_pitch = p.tile_max;
    tile.taps = a.taps;
    tile.k = a.k * a.tap_width;
    tile.b = a.w + column * a.w_stride;
    tile.b_stride = a.w_stride;
    tile.b_offsets = a.tap_offsets;
    tile.y = y;
    tile.columns = columns;
    dot(tile, block.size[i]);
    if (a.epilogue.wanted) finish_rows(a, y, block.size[i], column, columns);
  }
}

}  // namespace

void indirect_gemm(const IndirectGemmArgs& a) {
  const Pixels pixels(a);
  const bool dots = a.layout == WeightLayout::nk;
  const std::int64_t width = dots ? min(dot_columns, a.n) : panel;
  const std::int64_t vectors = min(tile_vectors, divide_up(a.n, lanes));
  const Tiling p = tiling(a, pixels.count(), dots ? dot_rows(static_cast<int>(width)) : tile_rows(static_cast<int>(vectors)), width);
  const std::int64_t flops = 2 * p.tiles_in_block * p.tile_max * max(1, a.taps) * a.k * a.tap_width * min(a.n, width * p.panels_in_group);
  const std::int64_t run = max(1, piece_flops / max(1, flops));  // blocks per piece
  std::int64_t offsets[table_size];
  for (std::int64_t t = 0; t < a.taps; ++t) offsets[t] = a.layout == WeightLayout::panels ? t * a.k * a.tap_width * panel : a.tap_offsets[t];
  const std::int64_t runs = divide_up(p.blocks, run);
  parallel_for(runs * p.groups, [&](std::int64_t piece) {
    const std::int64_t first_panel = piece / runs * p.panels_in_group;
    const std::int64_t last_panel = min(p.panel_count, first_panel + p.panels_in_group);
    const std::int64_t first_block = piece % runs * run, last_block = min(p.blocks, first_block + run);
    for (std::int64_t b = first_block; b < last_block; ++b) {
      Block block;
      gather(pixels, p, a.taps, b, block);
      for (std::int64_t i = first_panel; i < last_panel; ++i) {
        if (dots) dot_block(a, p, block, i * width, static_cast<int>(min(width, a.n - i * width)));
        else multiply_block(a, p, block, offsets, i);
      }
    }
  });
}

}  // namespace g2s::kernels::G2S_ISA
