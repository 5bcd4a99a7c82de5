// Winograd's convolution with the points 0, +-2/3, +-3/2 and infinity. The product of the squares being 1 saves multiplications, and of the
// symmetric sets these points lose the least: about 1.4e-6 in f32 where 1 and 2, the usual ones, lose 3e-6.
#include "engine/parallel.h"
#include "kernels/conv/winograd_args.h"
#include "kernels/matmul/gemm_args.h"
#include "kernels/matmul/micro.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

constexpr std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

constexpr int size = winograd_tile, points = winograd_points;
constexpr float p = 2.f / 3, q = 3.f / 2, p2 = p * p, q2 = q * q;

// B^T x
inline void transform_input(const Vec (&x)[size], Vec (&out)[size]) {
  const Vec even_p = x[4] - q2 * x[2], odd_p = x[3] - q2 * x[1];
  const Vec even_q = x[4] - p2 * x[2], odd_q = x[3] - p2 * x[1];
  out[0] = (x[4] - (p2 + q2) * x[2]) + x[0];
  out[1] = even_p + p * odd_p;
  out[2] = even_p - p * odd_p;
  out[3] = even_q + q * odd_q;
  out[4] = even_q - q * odd_q;
  out[5] = (x[5] - (p2 + q2) * x[3]) + x[1];
}

// A^T x, for 4 and 2 outputs
inline void transform_output(const Vec (&x)[size], Vec (&out)[4]) {
  const Vec sum_p = x[1] + x[2], sum_q = x[3] + x[4], difference_p = x[1] - x[2], difference_q = x[3] - x[4];
  out[0] = x[0] + sum_p + sum_q;
  out[1] = p * difference_p + q * difference_q;
  out[2] = p2 * sum_p + q2 * sum_q;
  out[3] = p2 * p * difference_p + (q2 * q * difference_q + x[5]);
}
inline void transform_output(const Vec (&x)[size], Vec (&out)[2]) {
  out[0] = x[0] + (x[1] + x[2]) + (x[3] + x[4]);
  out[1] = p * (x[1] - x[2]) + (q * (x[3] - x[4]) + x[5]);
}

// G g
template <int r>
inline void transform_weight(const Vec (&g)[r], Vec (&out)[size]) {
  constexpr float by_p = 1 / (2 * p2 * (p2 - q2)), by_q = 1 / (2 * q2 * (q2 - p2));
  Vec even_p = g[0], even_q = g[0], odd_p = p * g[1], odd_q = q * g[1];
  float power_p = p2, power_q = q2;
  for (int i = 2; i < r; ++i) {
    if (i % 2 == 0) {
      even_p += power_p * g[i];
      even_q += power_q * g[i];
    } else {
      odd_p += power_p * g[i];
      odd_q += power_q * g[i];
    }
    power_p *= p;
    power_q *= q;
  }
  out[0] = g[0];
  out[1] = by_p * (even_p + odd_p);
  out[2] = by_p * (even_p - odd_p);
  out[3] = by_q * (even_q + odd_q);
  out[4] = by_q * (even_q - odd_q);
  out[5] = g[r - 1];
}

template <int r>
void weight_at_points(const WinogradWeightArgs& a) {
  const std::int64_t panels = divide_up(a.n, panel), step = a.k * panel;
  constexpr std::int64_t rows_at_once = 16;
  const std::int64_t pieces = divide_up(a.k, rows_at_once);
  parallel_for(panels * pieces, [&](std::int64_t piece) {
    const std::int64_t first = piece % pieces * rows_at_once, last = smaller(a.k, first + rows_at_once);
    const float* from = a.panels + piece / pieces * r * r * step;
    float* to = a.points + piece / pieces * points * step;
    for (std::int64_t at = first * panel; at < last * panel; at += lanes) {
      Vec half[r][size];  // the columns of each row of the kernel transformed
      for (int u = 0; u < r; ++u) {
        Vec g[r];
        for (int v = 0; v < r; ++v) g[v] = load(from + (u * r + v) * step + at);
        transform_weight<r>(g, half[u]);
      }
      for (int j = 0; j < size; ++j) {
        Vec g[r], out[size];
        for (int u = 0; u < r; ++u) g[u] = half[u][j];
        transform_weight<r>(g, out);
        for (int i = 0; i < size; ++i) store(to + (i * size + j) * step + at, out[i]);
      }
    }
  });
}

struct Tiles {
  std::int64_t m, down, across, count;  // outputs of a tile; tiles of a picture and of all
  std::int64_t in_block, blocks;
};

Tiles cut(const WinogradArgs& a) {
  Tiles t{};
  t.m = size + 1 - a.kernel;
  t.down = divide_up(a.y_rows, t.m);
  t.across = divide_up(a.y_columns, t.m);
  t.count = a.batch * t.down * t.across;
  t.in_block = a.tiles_in_block;
  t.blocks = divide_up(t.count, t.in_block);
  return t;
}

// Distance of two points in a block of `tiles` rows; the extra vector keeps them from falling on the same cache lines.
std::int64_t point_step(std::int64_t tiles, std::int64_t k) { return tiles * divide_up(k, 16) * 16 + 16; }

// The 36 points of one tile: v[point * step + k]
void input_tile(const WinogradArgs& a, const Tiles& t, std::int64_t tile, float* v, std::int64_t step) {
  const std::int64_t b = tile / (t.down * t.across), row = tile / t.across % t.down * t.m - a.pad_rows, column = tile % t.across * t.m - a.pad_columns;
  const float* x[size][size];
  for (int i = 0; i < size; ++i) {
    for (int j = 0; j < size; ++j) {
      const std::int64_t r = row + i, c = column + j;
      const bool inside = r >= 0 && r < a.x_rows && c >= 0 && c < a.x_columns;
      x[i][j] = inside ? a.x + ((b * a.x_rows + r) * a.x_columns + c) * a.k : a.zeros;
    }
  }
  for (std::int64_t k = 0; k < a.k; k += lanes) {
    const int count = static_cast<int>(smaller(lanes, a.k - k));
    Vec half[size][size];
    for (int j = 0; j < size; ++j) {
      Vec in[size], out[size];
      for (int i = 0; i < size; ++i) in[i] = count == lanes ? load(x[i][j] + k) : load_first(x[i][j] + k, count);
      transform_input(in, out);
      for (int i = 0; i < size; ++i) half[i][j] = out[i];
    }
    for (int i = 0; i < size; ++i) {
      Vec out[size];
      transform_input(half[i], out);
      for (int j = 0; j < size; ++j) store(v + (i * size + j) * step + k, out[j]);
    }
  }
}

template <int m>
void output_tile(const WinogradArgs& a, const Tiles& t, std::int64_t tile, const float* products, std::int64_t step, std::int64_t column_at,
                 int columns) {
  const std::int64_t b = tile / (t.down * t.across), row = tile / t.across % t.down * m, column = tile % t.across * m;
  const int rows = static_cast<int>(smaller(m, a.y_rows - row)), across = static_cast<int>(smaller(m, a.y_columns - column));
  float* y = a.y + ((b * a.y_rows + row) * a.y_columns + column) * a.n + column_at;
  for (int n = 0; n < columns; n += lanes) {
    const int count = columns - n < lanes ? columns - n : lanes;
    Vec half[m][size];
    for (int j = 0; j < size; ++j) {
      Vec in[size], out[m];
      for (int i = 0; i < size; ++i) in[i] = load(products + (i * size + j) * step + n);
      transform_output(in, out);
      for (int i = 0; i < m; ++i) half[i][j] = out[i];
    }
    for (int i = 0; i < rows; ++i) {
      Vec out[m];
      transform_output(half[i], out);
      float* to = y + i * a.y_columns * a.n + n;
      for (int j = 0; j < across; ++j, to += a.n) {
        if (count == lanes) store(to, out[j]);
        else store_first(to, out[j], count);
      }
    }
  }
}

// Sums longer than this are made of partial sums. Most of the rounding error is that of long sums, and the output transform enlarges it:
// so cut, the result is as accurate as that of the direct product.
constexpr std::int64_t k_block = 32;

// The outputs of one panel of columns for tiles [first, first + tiles), whose points are at v.
void multiply_panel(const WinogradArgs& a, const Tiles& t, std::int64_t first, std::int64_t tiles, const float* v, std::int64_t v_step,
                    std::int64_t v_tile, float* products, std::int64_t panel_index) {
  static constexpr std::int64_t no_offset = 0;
  const std::int64_t product_step = point_step(tiles, panel), column_at = panel_index * panel;
  const int columns = static_cast<int>(smaller(panel, a.n - column_at)), filled = (columns + lanes - 1) / lanes * lanes;
  const std::int64_t groups = divide_up(tiles, tile_rows(filled / lanes));
  for (int point = 0; point < points; ++point) {
    for (std::int64_t g = 0; g < groups; ++g) {
      const std::int64_t begin = g * tiles / groups, end = (g + 1) * tiles / groups;
      const float* rows[max_tile_rows];
      float* to[max_tile_rows];
      for (std::int64_t i = begin; i < end; ++i) {
        rows[i - begin] = v + point * v_step + i * v_tile;
        to[i - begin] = products + point * product_step + i * panel;
      }
      RowTile tile{};
      tile.a = rows;
      tile.taps = 1;
      tile.b_stride = panel;
      tile.b_offsets = &no_offset;
      tile.y = to;
      tile.columns = filled;
      for (std::int64_t k = 0; k < a.k; k += k_block) {
        tile.k = smaller(k_block, a.k - k);
        tile.b = a.weight + ((panel_index * points + point) * a.k + k) * panel;
        tile.accumulate = k > 0;
        multiply_rows<false>(tile, static_cast<int>(end - begin));
        for (std::int64_t i = 0; i < end - begin; ++i) rows[i] += k_block;
      }
    }
  }
  for (std::int64_t i = 0; i < tiles; ++i) {
    if (t.m == 4) output_tile<4>(a, t, first + i, products + i * panel, product_step, column_at, columns);
    else output_tile<2>(a, t, first + i, products + i * panel, product_step, column_at, columns);
  }
}

}  // namespace

void winograd_weight(const WinogradWeightArgs& a) {
  if (a.kernel == 3) weight_at_points<3>(a);
  else weight_at_points<5>(a);
}

void winograd(const WinogradArgs& a) {
  const Tiles t = cut(a);
  const std::int64_t panels = divide_up(a.n, panel), v_tile = divide_up(a.k, 16) * 16;
  const std::int64_t products_size = points * point_step(t.in_block, panel);
  if (!a.transformed) {
    parallel_for(t.blocks, [&](std::int64_t block) {
      const std::int64_t first = block * t.in_block, tiles = smaller(t.in_block, t.count - first), step = point_step(tiles, a.k);
      float* products = thread_scratch(products_size + points * point_step(t.in_block, a.k));
      float* v = products + products_size;
      for (std::int64_t i = 0; i < tiles; ++i) input_tile(a, t, first + i, v + i * v_tile, step);
      for (std::int64_t i = 0; i < panels; ++i) multiply_panel(a, t, first, tiles, v, step, v_tile, products, i);
    });
    return;
  }
  const std::int64_t step = point_step(t.count, a.k);
  parallel_blocks(t.count, 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) input_tile(a, t, i, a.transformed + i * v_tile, step);
  });
  parallel_for(t.blocks * panels, [&](std::int64_t piece) {
    const std::int64_t first = piece % t.blocks * t.in_block, tiles = smaller(t.in_block, t.count - first);
    multiply_panel(a, t, first, tiles, a.transformed + first * v_tile, step, v_tile, thread_scratch(products_size), piece / t.blocks);
  });
}

}  // namespace g2s::kernels::G2S_ISA
