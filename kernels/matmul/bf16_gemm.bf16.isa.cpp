// Products of bfloat16 with f32 sums: with matrix tiles (AMX) or with vectors (AVX512-BF16), by what this file is compiled for.
#include <immintrin.h>

#include <cstring>

#include "engine/parallel.h"
#include "kernels/matmul/bf16_args.h"
#include "kernels/matmul/epilogue.isa.h"
#include "kernels/matmul/gemm_args.h"
#include "kernels/simd.isa.h"
#include "kernels/sizes.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

using Half = std::uint16_t;

constexpr int side = bf16_tile_side;
constexpr std::int64_t chunk = bf16_chunk;
constexpr std::int64_t square = side * side;

// The first `count` of 32 numbers, then zeros.
inline __m512i round_chunk(const float* from, std::int64_t count) {
  const int low = static_cast<int>(min(count, lanes)), high = static_cast<int>(max(count - lanes, 0));
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(load_first(from + lanes, high), load_first(from, low)));
}

inline void put(Half* to, __m512i v) { _mm512_storeu_si512(to, v); }

// `count` numbers, and zeros up to `width`.
inline void round_row(const float* from, std::int64_t count, Half* to, std::int64_t width) {
  const std::int64_t whole = count / chunk * chunk;
  for (std::int64_t c = 0; c < whole; c += chunk)
    put(to + c, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + c + lanes), _mm512_loadu_ps(from + c))));
  for (std::int64_t c = whole; c < width; c += chunk) put(to + c, c < count ? round_chunk(from + c, count - c) : _mm512_setzero_si512());
}

// What one product reads and where its results go. Results: up to 2 x 2 tiles.
struct BlockGemm {
  const Half* a[2];             // the first of 16 rows
  std::int64_t a_pitch;         // elements from row to row
  const Half* b;                // [chunks][2][tile]
  const std::int64_t* offsets;  // [chunks] of a
  std::int64_t chunks;
  const float* sums;            // [2][2][16][16] to go on from, or null
  float* to[2][2];
  std::int64_t to_pitch[2][2];
};

#if defined(__AMX_BF16__)
struct alignas(64) TileShapes {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// The tile registers of this thread. They read memory behind the compiler's back, which must have been written: hence the barriers.
void begin_tiles() {
  const TileShapes shapes;
  __asm__ volatile("" ::: "memory");
  _tile_loadconfig(&shapes);
}
void end_tiles() { _tile_release(); }

// Begins to fetch the lines of the results, one row of each tile at every step of the sum: y is rarely in the cache.
template <int rows, int columns>
inline void fetch_results(const BlockGemm& p, std::int64_t row) {
  if (row >= side) return;
  for (int m = 0; m < rows; ++m)
    for (int n = 0; n < columns; ++n) __builtin_prefetch(p.to[m][n] + row * p.to_pitch[m][n], 1);
}

template <int rows, int columns>
void multiply(const BlockGemm& p) {
  __asm__ volatile("" ::: "memory");
  if (p.sums) {
    _tile_loadd(0, p.sums, 64);
    if constexpr (columns > 1) _tile_loadd(1, p.sums + square, 64);
    if constexpr (rows > 1) _tile_loadd(2, p.sums + 2 * square, 64);
    if constexpr (rows > 1 && columns > 1) _tile_loadd(3, p.sums + 3 * square, 64);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  const std::int64_t pitch = p.a_pitch * 2;
  const Half* b = p.b;
  for (std::int64_t c = 0; c < p.chunks; ++c, b += 2 * bf16_tile) {
    fetch_results<rows, columns>(p, c);
    _tile_loadd(4, p.a[0] + p.offsets[c], pitch);
    _tile_loadd(6, b, 64);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (rows > 1) {
      _tile_loadd(5, p.a[1] + p.offsets[c], pitch);
      _tile_dpbf16ps(2, 5, 6);
    }
    if constexpr (columns > 1) {
      _tile_loadd(7, b + bf16_tile, 64);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (rows > 1 && columns > 1) _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, p.to[0][0], p.to_pitch[0][0] * 4);
  if constexpr (columns > 1) _tile_stored(1, p.to[0][1], p.to_pitch[0][1] * 4);
  if constexpr (rows > 1) _tile_stored(2, p.to[1][0], p.to_pitch[1][0] * 4);
  if constexpr (rows > 1 && columns > 1) _tile_stored(3, p.to[1][1], p.to_pitch[1][1] * 4);
}
#else
void begin_tiles() {}
void end_tiles() {}

constexpr int vector_rows = 8;  // rows whose sums stay in registers

template <int rows, int columns>
void multiply(const BlockGemm& p) {
  for (int part = 0; part < rows * side / vector_rows; ++part) {
    const int m = part * vector_rows / side, first = part * vector_rows % side;
    const Half* a = p.a[m] + first * p.a_pitch;
    __m512 sum[vector_rows][columns];
    for (int r = 0; r < vector_rows; ++r)
      for (int n = 0; n < columns; ++n)
        sum[r][n] = p.sums ? _mm512_loadu_ps(p.sums + (2 * m + n) * square + (first + r) * side) : _mm512_setzero_ps();
    const Half* b = p.b;
    for (std::int64_t c = 0; c < p.chunks; ++c, b += 2 * bf16_tile) {
      for (int pair = 0; pair < side; ++pair) {
        __m512bh right[columns];
        for (int n = 0; n < columns; ++n) right[n] = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b + n * bf16_tile + pair * chunk));
        for (int r = 0; r < vector_rows; ++r) {
          std::int32_t two;
          std::memcpy(&two, a + r * p.a_pitch + p.offsets[c] + 2 * pair, sizeof two);
          const __m512bh left = reinterpret_cast<__m512bh>(_mm512_set1_epi32(two));
          for (int n = 0; n < columns; ++n) sum[r][n] = _mm512_dpbf16_ps(sum[r][n], left, right[n]);
        }
      }
    }
    for (int r = 0; r < vector_rows; ++r)
      for (int n = 0; n < columns; ++n) _mm512_storeu_ps(p.to[m][n] + (first + r) * p.to_pitch[m][n], sum[r][n]);
  }
}
#endif

void multiply(const BlockGemm& p, int rows, int columns) {
  if (rows == 2 && columns == 2) return multiply<2, 2>(p);
  if (rows == 2) return multiply<2, 1>(p);
  if (columns == 2) return multiply<1, 2>(p);
  return multiply<1, 1>(p);
}

// ---- the left side ----

// Part of every plane: pixels [origin, origin + length).
struct Strip {
  Half* data;  // [planes][length][width]
  std::int64_t origin, length;
};

// Pixels [begin, end) of one plane, row by row.
void fill_plane(const Bf16GemmArgs& a, std::int64_t plane, std::int64_t begin, std::int64_t end, Half* to) {
  for (std::int64_t at = begin; at < end;) {
    const std::int64_t line = at < 0 ? -1 : at / a.pitch, first = at < 0 ? 0 : at % a.pitch;
    const std::int64_t count = at < 0 ? min(-at, end - at) : min(a.pitch - first, end - at);
    const std::int64_t b = line < 0 ? a.batch : line / a.pitch_rows, row = line < 0 ? 0 : line % a.pitch_rows * a.x_step + a.plane_rows[plane];
    const std::int64_t columns = divide_up(a.x_columns - a.plane_columns[plane], a.x_step);  // with pixels in them
    const std::int64_t used = b < a.batch && row < a.x_rows ? max(0, min(columns - first, count)) : 0;
    const float* from = a.x + ((b * a.x_rows + row) * a.x_columns + first * a.x_step + a.plane_columns[plane]) * a.k;
    if (a.x_step == 1 && a.k == a.width) {
      round_row(from, used * a.k, to, used * a.k);
    } else {
      for (std::int64_t i = 0; i < used; ++i) round_row(from + i * a.x_step * a.k, a.k, to + i * a.width, a.width);
    }
    std::memset(to + used * a.width, 0, static_cast<std::size_t>((count - used) * a.width) * sizeof(Half));
    to += count * a.width;
    at += count;
  }
}

// All taps of outputs [begin, end) side by side.
void fill_gathered(const Bf16GemmArgs& a, std::int64_t begin, std::int64_t end, Half* to) {
  float row[bf16_most_gathered];
  const std::int64_t rest = a.width - a.gathered * a.k;
  for (std::int64_t at = begin; at < end; ++at, to += a.width) {
    const std::int64_t line = at / a.pitch, b = line / a.pitch_rows, i = line % a.pitch_rows * a.x_step, j = at % a.pitch * a.x_step;
    float* put_at = row;
    for (std::int64_t t = 0; t < a.gathered; ++t, put_at += a.k) {
      const std::int64_t r = i + a.tap_rows[t], c = j + a.tap_columns[t];
      const bool inside = b < a.batch && r >= 0 && r < a.x_rows && c >= 0 && c < a.x_columns;
      const float* from = a.x + ((b * a.x_rows + r) * a.x_columns + c) * a.k;
      for (std::int64_t k = 0; k < a.k; ++k) put_at[k] = inside ? from[k] : 0;
    }
    std::memset(put_at, 0, static_cast<std::size_t>(rest) * sizeof(float));
    round_row(row, a.width, to, a.width);
  }
}

void fill(const Bf16GemmArgs& a, const Strip& strip, std::int64_t begin, std::int64_t end) {
  for (std::int64_t p = 0; p < a.planes; ++p) {
    Half* to = strip.data + (p * strip.length + begin - strip.origin) * a.width;
    if (a.gathered) fill_gathered(a, begin, end, to);
    else fill_plane(a, p, begin, end, to);
  }
}

// ---- the results ----

// Where in y an output goes, counted in pixels of all images; -1: it is none.
std::int64_t pixel_of(const Bf16GemmArgs& a, std::int64_t output) {
  const std::int64_t line = output / a.pitch, j = output % a.pitch, b = line / a.pitch_rows, i = line % a.pitch_rows;
  if (b >= a.batch || i >= a.rows || j >= a.columns) return -1;
  return (b * a.y_rows + a.y_first_row + i * a.y_step) * a.y_columns + a.y_first_column + j * a.y_step;
}

// The pixel of y that a tile begins with, if its 16 rows are neighbours in a row of y; else -1.
std::int64_t dense_from(const Bf16GemmArgs& a, std::int64_t start) { return start % a.pitch + side > a.columns ? -1 : pixel_of(a, start); }

void finish_row(const Bf16GemmArgs& a, const ChannelEpilogue& finish, std::int64_t b, std::int64_t pixel, std::int64_t column, int count,
                const float* sums) {
  const std::int64_t pixels = a.y_rows * a.y_columns;
  store_first(a.y + pixel * a.n + column, finish(load(sums), noise_at(*a.epilogue, b, pixels, pixel - b * pixels)), count);
}

// Stores a tile of sums that cannot be stored at once, or that has an epilogue. dense: see dense_from.
void place(const Bf16GemmArgs& a, std::int64_t start, std::int64_t dense, std::int64_t column, const float* tile) {
  const int count = static_cast<int>(min(side, a.n - column));
  const std::int64_t pixels = a.y_rows * a.y_columns;
  if (a.epilogue && dense >= 0) {
    const std::int64_t b = dense / pixels;
    const ChannelEpilogue finish(*a.epilogue, a.n, b, column, count);
    for (int m = 0; m < side; ++m) finish_row(a, finish, b, dense + m * a.y_step, column, count, tile + m * side);
    return;
  }
  for (int m = 0; m < side; ++m) {
    const std::int64_t pixel = dense >= 0 ? dense + m * a.y_step : pixel_of(a, start + m);
    if (pixel < 0) continue;
    if (a.epilogue) {
      const std::int64_t b = pixel / pixels;
      finish_row(a, ChannelEpilogue(*a.epilogue, a.n, b, column, count), b, pixel, column, count, tile + m * side);
    } else {
      store_first(a.y + pixel * a.n + column, load(tile + m * side), count);
    }
  }
}

// One or two tiles of rows, from `tile` on, and a panel of columns. Writes y if `last`, else to `sums`.
void multiply_pair(const Bf16GemmArgs& a, BlockGemm& p, std::int64_t tile, int rows, const std::int64_t* dense, std::int64_t column,
                   float* sums, bool last) {
  const int columns = a.n - column > side ? 2 : 1;
  bool placed[2][2] = {};
  for (int m = 0; m < rows; ++m) {
    for (int n = 0; n < columns; ++n) {
      const bool at_once = last && !a.epilogue && dense[m] >= 0 && column + (n + 1) * side <= a.n;
      p.to[m][n] = at_once ? a.y + dense[m] * a.n + column + n * side : sums + (2 * m + n) * square;
      p.to_pitch[m][n] = at_once ? a.y_step * a.n : side;
      placed[m][n] = last && !at_once;
    }
  }
  multiply(p, rows, columns);
  for (int m = 0; m < rows; ++m)
    for (int n = 0; n < columns; ++n)
      if (placed[m][n]) place(a, a.starts[tile + m], dense[m], column + n * side, p.to[m][n]);
}

// All sums of tiles [begin, end) for panels [first, last). The input of two tiles stays in the first-level cache while the weights of all
// panels, or of a part of the sum, stream from the second. partial: [tiles][last - first][2][16][16], for sums in several parts.
void multiply_block(const Bf16GemmArgs& a, const Strip& strip, const std::int64_t* offsets, std::int64_t begin, std::int64_t end,
                    std::int64_t first, std::int64_t last, float* partial) {
  for (std::int64_t c = 0; c == 0 || c < a.chunks; c += a.chunks_at_once) {
    const bool at_end = c + a.chunks_at_once >= a.chunks;
    for (std::int64_t tile = begin; tile < end; tile += 2) {
      const int rows = tile + 1 < end ? 2 : 1;
      BlockGemm p{};
      p.a_pitch = a.width;
      p.offsets = offsets + c;
      p.chunks = min(a.chunks_at_once, a.chunks - c);
      std::int64_t dense[2] = {-1, -1};
      for (int m = 0; m < rows; ++m) {
        p.a[m] = strip.data + (a.starts[tile + m] - strip.origin) * a.width;
        if (at_end) dense[m] = dense_from(a, a.starts[tile + m]);
      }
      for (std::int64_t panel = first; panel < last; ++panel) {
        float* sums = partial + ((at_end && c == 0 ? 0 : (tile - begin) / 2 * (last - first)) + panel - first) * 4 * square;
        p.b = a.weight + (panel * a.chunks + c) * 2 * bf16_tile;
        p.sums = c > 0 ? sums : nullptr;
        multiply_pair(a, p, tile, rows, dense, panel * bf16_panel, sums, at_end);
      }
    }
  }
}

// 16 columns of one chunk whose 32 elements of k lie together in the source: pairs of them are turned.
void turn_tile(const Bf16PackArgs& a, const float* source, int count, Half* to) {
  VecF pairs[lanes];
  for (int n = 0; n < lanes; ++n) {
    const __m512i row = n < count ? round_chunk(source + n * a.n_stride, chunk) : _mm512_setzero_si512();
    pairs[n] = reinterpret_cast<VecF>(row);
  }
  transpose(pairs);
  for (int p = 0; p < lanes; ++p) put(to + p * chunk, reinterpret_cast<__m512i>(pairs[p]));
}

// 16 columns of two elements of k, side by side.
inline __m512i round_pair(__m512 even, __m512 odd) {
  const Vec<short> order = {0,  16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23, 8, 24, 9,  25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return _mm512_permutexvar_epi16(reinterpret_cast<__m512i>(order), reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(odd, even)));
}

// 16 columns of one chunk.
void pack_tile(const Bf16PackArgs& a, const std::int64_t* k, std::int64_t column, Half* to) {
  const int count = static_cast<int>(max(0, min(side, a.n - column)));
  const float* source = a.source + column * a.n_stride;
  bool run = true;
  for (std::int64_t i = 0; i < chunk; ++i) run = run && k[i] >= 0 && k[i] == k[0] + i;
  if (run && a.n_stride != 1) return turn_tile(a, source + k[0], count, to);
  for (std::int64_t i = 0; i < chunk; i += 2) {
    __m512 both[2];
    for (int odd = 0; odd < 2; ++odd) {
      const std::int64_t at = k[i + odd];
      if (at < 0) {
        both[odd] = _mm512_setzero_ps();
      } else if (a.n_stride == 1) {
        both[odd] = load_first(source + at, count);
      } else {
        float picked[lanes] = {};
        for (int n = 0; n < count; ++n) picked[n] = source[at + n * a.n_stride];
        both[odd] = _mm512_loadu_ps(picked);
      }
    }
    put(to + i * side, round_pair(both[0], both[1]));
  }
}

}  // namespace

void bf16_pack(const Bf16PackArgs& a) {
  parallel_blocks(divide_up(a.n, bf16_panel) * a.chunks, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t panel = i / a.chunks;
      for (std::int64_t half = 0; half < 2; ++half)
        pack_tile(a, a.k_offsets + i % a.chunks * chunk, panel * bf16_panel + half * side, a.target + (2 * i + half) * bf16_tile);
    }
  });
}

void bf16_gemm(const Bf16GemmArgs& a) {
  const std::int64_t panels = divide_up(a.n, bf16_panel), blocks = divide_up(a.tiles, a.tiles_in_block);
  const std::int64_t whole = bf16_span(a.starts[0], a.starts[a.tiles - 1], a.lowest, a.highest);
  if (a.converted) {
    const Strip strip{a.converted, a.starts[0] + a.lowest, whole};
    parallel_blocks(whole, max(1, 8192 / a.width), [&](std::int64_t begin, std::int64_t end) {
      fill(a, strip, strip.origin + begin, strip.origin + end);
    });
  }
  const std::int64_t panels_at_once = min(divide_up(panels, a.groups), a.panels_at_once);
  const std::int64_t sums_size = (a.chunks > a.chunks_at_once ? divide_up(a.tiles_in_block, 2) * panels_at_once : panels_at_once) * 4 * square;
  parallel_for(blocks * a.groups, [&](std::int64_t piece) {
    const std::int64_t block = piece / a.groups, group = piece % a.groups;
    const std::int64_t begin = block * a.tiles / blocks, end = (block + 1) * a.tiles / blocks;
    const std::int64_t first = a.starts[begin], last = a.starts[end - 1];
    Strip strip{a.converted, a.starts[0] + a.lowest, whole};
    // One stretch of memory: sums, offsets, then the strip.
    const std::int64_t own = a.converted ? 0 : bf16_span(first, last, a.lowest, a.highest);
    float* scratch = thread_scratch(sums_size + 2 * a.chunks + a.planes * own * a.width / 2 + 64);
    std::int64_t* offsets = reinterpret_cast<std::int64_t*>(scratch + sums_size);
    if (!a.converted) {
      strip = {reinterpret_cast<Half*>(scratch + sums_size + divide_up(2 * a.chunks, 16) * 16), first + a.lowest, own};
      fill(a, strip, strip.origin, strip.origin + own);
    }
    for (std::int64_t c = 0; c < a.chunks; ++c) offsets[c] = a.chunk_planes[c] * strip.length * a.width + a.chunk_offsets[c];
    begin_tiles();
    const std::int64_t panels_end = (group + 1) * panels / a.groups;
    for (std::int64_t p = group * panels / a.groups; p < panels_end; p += panels_at_once)
      multiply_block(a, strip, offsets, begin, end, p, min(p + panels_at_once, panels_end), scratch);
    end_tiles();
  });
}

}  // namespace g2s::kernels::G2S_ISA
