// A block of pixels at a time: its rows of the left factor are made in memory that stays in the second-level cache, and multiplied from
// there.
#include "engine/parallel.h"
#include "kernels/depthwise_conv/depthwise_tile.isa.h"
#include "kernels/depthwise_conv/separable_conv_args.h"
#include "kernels/matmul/epilogue.isa.h"
#include "kernels/matmul/gemm_args.h"
#include "kernels/matmul/micro.isa.h"
#include "kernels/sizes.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

using std::int64_t;

constexpr int64_t block_pixels = 128, block_columns = 16;  // nearly square: a depthwise convolution reads the border of a block too
constexpr int cache_line = 16;                             // floats
constexpr int64_t few_blocks = 4;                          // so many pieces at least, where there are as many panels

// Some rows and columns of one image.
struct Block {
  int64_t b, row, column, rows, columns;

  int64_t pixels() const { return rows * columns; }
  // The number of its i-th pixel within the image, whose rows have `width` pixels.
  int64_t pixel(int64_t i, int64_t width) const { return (row + i / columns) * width + column + i % columns; }
};

// How images are cut into blocks, and the columns of the product into groups of panels: by sizes alone.
struct Cut {
  int64_t rows, columns;  // of a block
  int64_t down, across;   // blocks of an image
  int64_t panels, groups;

  explicit Cut(const SeparableArgs& a) {
    columns = min(a.columns, block_columns);
    rows = min(a.rows, max(window_rows, block_pixels / columns / window_rows * window_rows));
    down = divide_up(a.rows, rows);
    across = divide_up(a.columns, columns);
    panels = divide_up(a.n, panel);
    groups = min(panels, divide_up(few_blocks, blocks(a.batch)));
  }
  int64_t blocks(int64_t batch) const { return batch * down * across; }
  Block block(const SeparableArgs& a, int64_t i) const {
    const int64_t b = i / (down * across), row = i / across % down * rows, column = i % across * columns;
    return {b, row, column, min(rows, a.rows - row), min(columns, a.columns - column)};
  }
};

void convolve_block(const SeparableArgs& a, const Block& block, float* left) {
  const Picture<float> x{a.x + block.b * a.rows * a.columns * a.k, a.zeros, a.rows, a.columns, a.k};
  const DepthwiseTaps<float> taps(a.style ? a.styled + 9 * block.b * a.k : a.taps, a.k, false);
  each_tile(block.row, block.row + block.rows, block.column, block.column + block.columns, [&](auto size, int64_t row, int64_t column) {
    constexpr int R = decltype(size)::rows, C = decltype(size)::columns;
    const Window<float, R, C> window(x, row, column);
    float* to = left + ((row - block.row) * block.columns + column - block.column) * a.k;
    along_channels<float>(a.k, [&](auto vector, int64_t c) {
      decltype(vector) sum[R][C];
      convolve(window, taps, c, sum);
      for (int r = 0; r < R; ++r)
        for (int i = 0; i < C; ++i) write(to + (r * block.columns + i) * a.k + c, sum[r][i]);
    });
  });
}

void gate_block(const SeparableArgs& a, const Block& block, float* left) {
  const float high = a.gain, low = a.gain * a.slope;
  for (int64_t row = 0; row < block.rows; ++row) {
    const int64_t at = ((block.b * a.rows + block.row + row) * a.columns + block.column) * a.k, count = block.columns * a.k;
    const float *x = a.x + at, *gate = a.gate + at;
    float* to = left + row * count;
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) to[i] = x[i] * (gate[i] > 0 ? high : low);
  }
}

// Finishes the columns [column, column + columns) of the rows y, which were just computed.
void finish_rows(const SeparableArgs& a, const Block& block, int64_t first_pixel, float* const* y, int rows, int64_t column, int columns) {
  for (int n = 0; n < columns; n += lanes) {
    const int count = columns - n < lanes ? columns - n : lanes;
    const ChannelEpilogue finish(*a.epilogue, a.n, block.b, column + n, count);
    for (int m = 0; m < rows; ++m) {
      const float noise = noise_at(*a.epilogue, block.b, a.rows * a.columns, block.pixel(first_pixel + m, a.columns));
      if (count == lanes) store(y[m] + n, finish(load(y[m] + n), noise));
      else store_first(y[m] + n, finish(load_first(y[m] + n, count), noise), count);
    }
  }
}

void multiply_panel(const SeparableArgs& a, const Block& block, const float* left, int64_t panel_index) {
  constexpr int64_t no_offset = 0;
  const int64_t column = panel_index * panel, pixels = block.pixels();
  const int columns = static_cast<int>(min(panel, a.n - column));
  const int64_t tiles = divide_up(pixels, tile_rows((columns + lanes - 1) / lanes));
  for (int64_t i = 0; i < tiles; ++i) {
    // Tiles of nearly equal size, so that the last one is no sliver.
    const int64_t begin = i * pixels / tiles, end = (i + 1) * pixels / tiles;
    const float* rows[max_tile_rows];
    float* y[max_tile_rows];
    for (int64_t p = begin; p < end; ++p) {
      rows[p - begin] = left + p * a.k;
      y[p - begin] = a.y + (block.b * a.rows * a.columns + block.pixel(p, a.columns)) * a.n + column;
    }
    // Lines of the results are fetched while the tile is multiplied.
    for (int m = 0; m < end - begin; ++m)
      for (int n = 0; n < columns; n += cache_line) __builtin_prefetch(y[m] + n, 1);
    RowTile tile{};
    tile.a = rows;
    tile.a_pitch = max_tile_rows;
    tile.taps = 1;
    tile.k = a.k;
    tile.b = a.w + panel_index * a.k * panel;
    tile.b_stride = panel;
    tile.b_offsets = &no_offset;
    tile.y = y;
    tile.columns = columns;
    const int count = static_cast<int>(end - begin);
    multiply_tile<false>(tile, count);
    if (a.epilogue) finish_rows(a, block, begin, y, count, column, columns);
  }
}

}  // namespace

void separable_conv_cpu(const SeparableArgs& a) {
  if (a.batch * a.rows * a.columns * a.n == 0) return;
  if (a.style) scale_taps(a.taps, a.style, a.batch, a.k, a.styled);
  const Cut cut(a);
  parallel_for(cut.blocks(a.batch) * cut.groups, [&](int64_t piece) {
    const Block block = cut.block(a, piece / cut.groups);
    const int64_t group = piece % cut.groups;
    float* left = thread_scratch(block.pixels() * a.k);
    if (a.taps) convolve_block(a, block, left);
    else gate_block(a, block, left);
    for (int64_t i = group * cut.panels / cut.groups; i < (group + 1) * cut.panels / cut.groups; ++i) multiply_panel(a, block, left, i);
  });
}

}  // namespace g2s::kernels::G2S_ISA
