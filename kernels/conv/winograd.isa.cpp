// Winograd's convolution. Tiles of 6x6 use the points 0, +-2/3, +-3/2 and infinity: the product of the squares being 1 saves multiplications,
// and of the symmetric sets these points lose the least, about 1.4e-6 in f32 where 1 and 2, the usual ones, lose 3e-6.
#include <cstring>

#include "engine/parallel.h"
#include "kernels/conv/winograd_args.h"
#include "kernels/matmul/epilogue.isa.h"
#include "kernels/matmul/gemm_args.h"
#include "kernels/matmul/micro.isa.h"
#include "kernels/sizes.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

// Tiles of 6x6 evaluate at 0, +-p, +-q and infinity, tiles of 4x4 at 0, +-1 and infinity.
constexpr float p = 2.f / 3, q = 3.f / 2, p2 = p * p, q2 = q * q;

// B^T x
inline void transform_input(const VecF (&x)[6], VecF (&out)[6]) {
  const VecF even_p = x[4] - q2 * x[2], odd_p = x[3] - q2 * x[1];
  const VecF even_q = x[4] - p2 * x[2], odd_q = x[3] - p2 * x[1];
  out[0] = (x[4] - (p2 + q2) * x[2]) + x[0];
  out[1] = even_p + p * odd_p;
  out[2] = even_p - p * odd_p;
  out[3] = even_q + q * odd_q;
  out[4] = even_q - q * odd_q;
  out[5] = (x[5] - (p2 + q2) * x[3]) + x[1];
}
inline void transform_input(const VecF (&x)[4], VecF (&out)[4]) {
  out[0] = x[0] - x[2];
  out[1] = x[1] + x[2];
  out[2] = x[2] - x[1];
  out[3] = x[3] - x[1];
}

// A^T x: 6 points to 4 or 2 outputs, 4 points to 2
inline void transform_output(const VecF (&x)[6], VecF (&out)[4]) {
  const VecF sum_p = x[1] + x[2], sum_q = x[3] + x[4], difference_p = x[1] - x[2], difference_q = x[3] - x[4];
  out[0] = x[0] + sum_p + sum_q;
  out[1] = p * difference_p + q * difference_q;
  out[2] = p2 * sum_p + q2 * sum_q;
  out[3] = p2 * p * difference_p + (q2 * q * difference_q + x[5]);
}
inline void transform_output(const VecF (&x)[6], VecF (&out)[2]) {
  out[0] = x[0] + (x[1] + x[2]) + (x[3] + x[4]);
  out[1] = p * (x[1] - x[2]) + (q * (x[3] - x[4]) + x[5]);
}
inline void transform_output(const VecF (&x)[4], VecF (&out)[2]) {
  out[0] = x[0] + (x[1] + x[2]);
  out[1] = (x[1] - x[2]) + x[3];
}

// G g
template <int r>
inline void transform_weight(const VecF (&g)[r], VecF (&out)[6]) {
  constexpr float by_p = 1 / (2 * p2 * (p2 - q2)), by_q = 1 / (2 * q2 * (q2 - p2));
  VecF even_p = g[0], even_q = g[0], odd_p = p * g[1], odd_q = q * g[1];
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
inline void transform_weight(const VecF (&g)[3], VecF (&out)[4]) {
  const VecF even = g[0] + g[2];
  out[0] = g[0];
  out[1] = 0.5f * (even + g[1]);
  out[2] = 0.5f * (even - g[1]);
  out[3] = g[2];
}

template <int size, int r>
void weight_at_points(const WinogradWeightArgs& a) {
  constexpr int points = size * size;
  const std::int64_t panels = divide_up(a.n, panel), step = a.k * panel;
  constexpr std::int64_t rows_at_once = 16;
  const std::int64_t pieces = divide_up(a.k, rows_at_once);
  parallel_for(panels * pieces, [&](std::int64_t piece) {
    const std::int64_t first = piece % pieces * rows_at_once, last = min(a.k, first + rows_at_once);
    const float* from = a.panels + piece / pieces * r * r * step;
    float* to = a.points + piece / pieces * points * step;
    for (std::int64_t at = first * panel; at < last * panel; at += lanes) {
      VecF half[r][size];  // the columns of each row of the kernel transformed
      for (int u = 0; u < r; ++u) {
        VecF g[r];
        for (int v = 0; v < r; ++v) g[v] = load(from + (u * r + v) * step + at);
        transform_weight(g, half[u]);
      }
      for (int j = 0; j < size; ++j) {
        VecF g[r], out[size];
        for (int u = 0; u < r; ++u) g[u] = half[u][j];
        transform_weight(g, out);
        for (int i = 0; i < size; ++i) store(to + (i * size + j) * step + at, out[i]);
      }
    }
  });
}

struct Tiles {
  std::int64_t m, down, across, count;  // outputs of a tile; tiles of an image and of all
  std::int64_t in_block, blocks;
};

Tiles tiling(const WinogradArgs& a) {
  Tiles t{};
  t.m = a.tile + 1 - a.kernel;
  t.down = divide_up(a.y_rows, t.m);
  t.across = divide_up(a.y_columns, t.m);
  t.count = a.batch * t.down * t.across;
  t.in_block = a.tiles_in_block;
  t.blocks = divide_up(t.count, t.in_block);
  return t;
}

// Distance of two points in a block of `tiles` rows; the extra vector keeps them from falling on the same cache lines.
std::int64_t point_step(std::int64_t tiles, std::int64_t k) { return tiles * divide_up(k, 16) * 16 + 16; }

// Are any two neighbours of the tile's pixels equal in all channels? `inside` has a bit for each pixel inside the image.
template <int size>
bool equal_neighbours(const float* const (&x)[size][size], std::uint64_t inside, std::int64_t k) {
  auto equal = [&](int i, int j, int other_i, int other_j) {
    const std::uint64_t either = (inside >> (i * size + j) | inside >> (other_i * size + other_j)) & 1;
    const float *a = x[i][j], *b = x[other_i][other_j];
    if (!either) return false;
    if (k >= lanes && !same_bits(load(a), load(b))) return false;
    return std::memcmp(a, b, static_cast<std::size_t>(k) * sizeof(float)) == 0;
  };
  for (int i = 0; i < size; ++i)
    for (int j = 0; j < size; ++j)
      if ((j > 0 && equal(i, j, i, j - 1)) || (i > 0 && equal(i, j, i - 1, j))) return true;
  return false;
}

// The points of one tile: v[point * step + k]
template <int size>
void input_tile(const WinogradArgs& a, const Tiles& t, std::int64_t tile, float* v, std::int64_t step) {
  const std::int64_t b = tile / (t.down * t.across), row = tile / t.across % t.down * t.m - a.pad_rows, column = tile % t.across * t.m - a.pad_columns;
  const float* x[size][size];
  std::uint64_t pixels_inside = 0;
  for (int i = 0; i < size; ++i) {
    for (int j = 0; j < size; ++j) {
      const std::int64_t r = row + i, c = column + j;
      const bool inside = r >= 0 && r < a.x_rows && c >= 0 && c < a.x_columns;
      x[i][j] = inside ? a.x + ((b * a.x_rows + r) * a.x_columns + c) * a.k : a.zeros;
      pixels_inside |= static_cast<std::uint64_t>(inside) << (i * size + j);
    }
  }
  if (a.equal_neighbours) a.equal_neighbours[tile] = equal_neighbours<size>(x, pixels_inside, a.k);
  for (std::int64_t k = 0; k < a.k; k += lanes) {
    const int count = static_cast<int>(min(lanes, a.k - k));
    VecF half[size][size];
    for (int j = 0; j < size; ++j) {
      VecF in[size], out[size];
      for (int i = 0; i < size; ++i) in[i] = count == lanes ? load(x[i][j] + k) : load_first(x[i][j] + k, count);
      transform_input(in, out);
      for (int i = 0; i < size; ++i) half[i][j] = out[i];
    }
    for (int i = 0; i < size; ++i) {
      VecF out[size];
      transform_input(half[i], out);
      for (int j = 0; j < size; ++j) store(v + (i * size + j) * step + k, out[j]);
    }
  }
}

template <int size, int m>
void output_tile(const WinogradArgs& a, const Tiles& t, std::int64_t tile, const float* products, std::int64_t step, std::int64_t column_at,
                 int columns) {
  const std::int64_t b = tile / (t.down * t.across), row = tile / t.across % t.down * m, column = tile % t.across * m;
  const int rows = static_cast<int>(min(m, a.y_rows - row)), across = static_cast<int>(min(m, a.y_columns - column));
  float* y = a.y + ((b * a.y_rows + row) * a.y_columns + column) * a.n + column_at;
  for (int n = 0; n < columns; n += lanes) {
    const int count = columns - n < lanes ? columns - n : lanes;
    const ChannelEpilogue finish(*a.epilogue, a.n, b, column_at + n, count);
    VecF half[m][size];
    for (int j = 0; j < size; ++j) {
      VecF in[size], out[m];
      for (int i = 0; i < size; ++i) in[i] = load(products + (i * size + j) * step + n);
      transform_output(in, out);
      for (int i = 0; i < m; ++i) half[i][j] = out[i];
    }
    for (int i = 0; i < rows; ++i) {
      VecF out[m];
      transform_output(half[i], out);
      float* to = y + i * a.y_columns * a.n + n;
      for (int j = 0; j < across; ++j, to += a.n) {
        if (a.epilogue->wanted)
          out[j] = finish(out[j], noise_at(*a.epilogue, b, a.y_rows * a.y_columns, (row + i) * a.y_columns + column + j));
        if (count == lanes) store(to, out[j]);
        else store_first(to, out[j], count);
      }
    }
  }
}

// Sums longer than this are made of partial sums. Most of the rounding error is that of long sums, and the output transform enlarges it:
// so cut, the result is as accurate as that of the direct product.
constexpr std::int64_t k_block = 32;

// Columns that are computed together: for them the points of a block's tiles are read once.
constexpr std::int64_t group_columns = 64;
static_assert(group_columns % panel == 0);

// out[m * group_columns + n] (+)= sum_k v[m * v_tile + k] * b[k * panel + n] for `rows` tiles
template <int rows, int vectors>
void product_tile(const float* v, std::int64_t v_tile, const float* b, std::int64_t k, float* out, bool accumulate) {
  VecF sum[rows][vectors] = {};
  for (std::int64_t i = 0; i < k; ++i, b += panel) {
    VecF right[vectors];
    for (int j = 0; j < vectors; ++j) right[j] = load(b + j * lanes);
    for (int m = 0; m < rows; ++m) {
      const VecF left = splat(v[m * v_tile + i]);
      for (int j = 0; j < vectors; ++j) sum[m][j] += left * right[j];
    }
  }
  if (accumulate)
    for (int m = 0; m < rows; ++m)
      for (int j = 0; j < vectors; ++j) sum[m][j] += load(out + m * group_columns + j * lanes);
  for (int m = 0; m < rows; ++m)
    for (int j = 0; j < vectors; ++j) store(out + m * group_columns + j * lanes, sum[m][j]);
}

using ProductTile = void (*)(const float*, std::int64_t, const float*, std::int64_t, float*, bool);

template <int vectors, int rows = tile_rows(vectors)>
ProductTile product_of_rows(std::int64_t wanted) {
  if (wanted == rows) return product_tile<rows, vectors>;
  if constexpr (rows > 1) return product_of_rows<vectors, rows - 1>(wanted);
  return nullptr;
}

template <int vectors = tile_vectors>
ProductTile product_of(int wanted, std::int64_t rows) {
  if (wanted == vectors) return product_of_rows<vectors>(rows);
  if constexpr (vectors > 1) return product_of<vectors - 1>(wanted, rows);
  return nullptr;
}

// The products of one point, of the panels [first_panel, last_panel) of columns with `tiles` tiles: out[tile * group_columns + column].
void multiply_point(const WinogradArgs& a, const float* v, std::int64_t v_tile, std::int64_t tiles, std::int64_t first_panel,
                    std::int64_t last_panel, std::int64_t point, float* out) {
  // The parts of the points and of the weight that are at work stay in the first-level cache.
  for (std::int64_t k = 0; k < a.k; k += k_block) {
    const std::int64_t count = min(k_block, a.k - k);
    for (std::int64_t at = first_panel; at < last_panel; ++at) {
      const int vectors = static_cast<int>(min(tile_vectors, divide_up(a.n - at * panel, lanes)));
      // Groups of nearly equal size: `large` of them have one tile more than the others.
      const std::int64_t groups = divide_up(tiles, tile_rows(vectors)), rows = tiles / groups, large = tiles % groups;
      const float* b = a.weight + ((at * winograd_points(a.tile) + point) * a.k + k) * panel;
      float* to = out + (at - first_panel) * panel;
      const ProductTile product = product_of(vectors, rows), larger_product = large > 0 ? product_of(vectors, rows + 1) : nullptr;
      std::int64_t i = 0;
      for (std::int64_t g = 0; g < large; ++g, i += rows + 1) larger_product(v + i * v_tile + k, v_tile, b, count, to + i * group_columns, k > 0);
      for (; i < tiles; i += rows) product(v + i * v_tile + k, v_tile, b, count, to + i * group_columns, k > 0);
    }
  }
}

// The outputs of one group of columns for tiles [first, first + tiles), whose points are at v.
void multiply_group(const WinogradArgs& a, const Tiles& t, std::int64_t first, std::int64_t tiles, const float* v, std::int64_t v_step,
                    std::int64_t v_tile, float* products, std::int64_t group) {
  const std::int64_t product_step = point_step(tiles, group_columns), column_at = group * group_columns;
  const int columns = static_cast<int>(min(group_columns, a.n - column_at));
  const std::int64_t first_panel = column_at / panel, last_panel = first_panel + divide_up(columns, panel);
  for (std::int64_t point = 0; point < winograd_points(a.tile); ++point)
    multiply_point(a, v + point * v_step, v_tile, tiles, first_panel, last_panel, point, products + point * product_step);
  for (std::int64_t i = 0; i < tiles; ++i) {
    const float* from = products + i * group_columns;
    if (a.tile == 4) output_tile<4, 2>(a, t, first + i, from, product_step, column_at, columns);
    else if (t.m == 4) output_tile<6, 4>(a, t, first + i, from, product_step, column_at, columns);
    else output_tile<6, 2>(a, t, first + i, from, product_step, column_at, columns);
  }
}

}  // namespace

void winograd_weight(const WinogradWeightArgs& a) {
  if (a.tile == 4) weight_at_points<4, 3>(a);
  else if (a.kernel == 3) weight_at_points<6, 3>(a);
  else weight_at_points<6, 5>(a);
}

void winograd(const WinogradArgs& a) {
  const Tiles t = tiling(a);
  const std::int64_t points = winograd_points(a.tile), groups = divide_up(a.n, group_columns), v_tile = divide_up(a.k, 16) * 16;
  const std::int64_t products_size = points * point_step(t.in_block, group_columns);
  auto transform = [&](std::int64_t tile, float* v, std::int64_t step) {
    if (a.tile == 4) input_tile<4>(a, t, tile, v, step);
    else input_tile<6>(a, t, tile, v, step);
  };
  if (!a.transformed) {
    parallel_for(t.blocks, [&](std::int64_t block) {
      const std::int64_t first = block * t.in_block, tiles = min(t.in_block, t.count - first), step = point_step(tiles, a.k);
      float* products = thread_scratch(products_size + points * point_step(t.in_block, a.k));
      float* v = products + products_size;
      for (std::int64_t i = 0; i < tiles; ++i) transform(first + i, v + i * v_tile, step);
      for (std::int64_t i = 0; i < groups; ++i) multiply_group(a, t, first, tiles, v, step, v_tile, products, i);
    });
    return;
  }
  const std::int64_t step = point_step(t.count, a.k);
  parallel_blocks(t.count, 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) transform(i, a.transformed + i * v_tile, step);
  });
  parallel_for(t.blocks * groups, [&](std::int64_t piece) {
    const std::int64_t first = piece % t.blocks * t.in_block, tiles = min(t.in_block, t.count - first);
    multiply_group(a, t, first, tiles, a.transformed + first * v_tile, step, v_tile, thread_scratch(products_size), piece / t.blocks);
  });
}

}  // namespace g2s::kernels::G2S_ISA
