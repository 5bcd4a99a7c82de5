// Register-blocked inner loops of the matrix products. Only for *.isa.cpp files.
#pragma once

#include "kernels/simd.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

// A tile has up to tile_vectors vectors of columns and as many rows as registers allow beside them.
#if defined(__AVX512F__)
constexpr int tile_vectors = 4;
constexpr int tile_rows(int vectors) { return vectors >= 4 ? 6 : vectors == 3 ? 8 : 12; }
#elif defined(__AVX2__)
constexpr int tile_vectors = 2;
constexpr int tile_rows(int) { return 6; }
#else
constexpr int tile_vectors = 2;
constexpr int tile_rows(int) { return 4; }
#endif
constexpr int max_tile_rows = tile_rows(1);
constexpr int panel = tile_vectors * lanes;

// y[m][n] (+)= sum_{t, k} a[t][m][k] * b[b_offsets[t] + k * b_stride + n]
struct RowTile {
  const float* const* a;  // [taps][a_pitch] pointers to rows of k elements; a tap whose first pointer is null is skipped
  std::int64_t a_pitch, taps, k;
  const float* b;
  std::int64_t b_stride;
  const std::int64_t* b_offsets;
  float* const* y;  // [rows]
  int columns;      // of y: above (vectors - 1) * lanes, up to vectors * lanes
  bool accumulate;
};

template <int rows, int vectors>
inline void store_tile(const VecF (&sum)[rows][vectors], float* const* y, std::int64_t at, int columns, bool accumulate) {
  const int last = columns - (vectors - 1) * lanes;
  for (int m = 0; m < rows; ++m) {
    float* row = y[m] + at;
    for (int v = 0; v < vectors - 1; ++v) store(row + v * lanes, accumulate ? load(row + v * lanes) + sum[m][v] : sum[m][v]);
    float* end = row + (vectors - 1) * lanes;
    VecF value = sum[m][vectors - 1];
    if (last == lanes) {
      store(end, accumulate ? load(end) + value : value);
    } else {
      store_first(end, accumulate ? load_first(end, last) + value : value, last);
    }
  }
}

// `partial`: the last vector of b holds only columns % lanes elements that may be read.
template <int rows, int vectors, bool partial>
void multiply(const RowTile& t) {
  VecF sum[rows][vectors] = {};
  const int last = t.columns - (vectors - 1) * lanes;
  for (std::int64_t tap = 0; tap < t.taps; ++tap) {
    const float* const* pointers = t.a + tap * t.a_pitch;
    if (!pointers[0]) continue;
    const float* a[rows];
    for (int m = 0; m < rows; ++m) a[m] = pointers[m];
    const float* b = t.b + t.b_offsets[tap];
    for (std::int64_t k = 0; k < t.k; ++k, b += t.b_stride) {
      VecF right[vectors];
      for (int v = 0; v < vectors; ++v) right[v] = partial && v == vectors - 1 ? load_first(b + v * lanes, last) : load(b + v * lanes);
      for (int m = 0; m < rows; ++m) {
        VecF left = splat(a[m][k]);
        for (int v = 0; v < vectors; ++v) sum[m][v] += left * right[v];
      }
    }
  }
  store_tile<rows, vectors>(sum, t.y, 0, t.columns, t.accumulate);
}

// Runs of pixels along which both factors advance evenly.
struct Run {
  const float* f;
  const float* g;
  std::int64_t length;
};

// c[m][n] (+)= sum over the pixels of all runs of f[m] * g[n]
struct PixelTile {
  const Run* runs;
  std::int64_t run_count;
  std::int64_t f_at, g_at;      // first element of each pixel
  std::int64_t f_step, g_step;  // elements from one pixel to the next
  float* const* c;              // [rows]
  std::int64_t c_at;
  int columns;
  bool accumulate;
};

template <int rows, int vectors, bool partial>
void multiply(const PixelTile& t) {
  VecF sum[rows][vectors] = {};
  const int last = t.columns - (vectors - 1) * lanes;
  const std::int64_t f_step = t.f_step, g_step = t.g_step;
  for (std::int64_t r = 0; r < t.run_count; ++r) {
    const float* f = t.runs[r].f + t.f_at;
    const float* g = t.runs[r].g + t.g_at;
    for (std::int64_t i = t.runs[r].length; i > 0; --i, f += f_step, g += g_step) {
      VecF right[vectors];
      for (int v = 0; v < vectors; ++v) right[v] = partial && v == vectors - 1 ? load_first(g + v * lanes, last) : load(g + v * lanes);
      for (int m = 0; m < rows; ++m) {
        VecF left = splat(f[m]);
        for (int v = 0; v < vectors; ++v) sum[m][v] += left * right[v];
      }
    }
  }
  store_tile<rows, vectors>(sum, t.c, t.c_at, t.columns, t.accumulate);
}

template <int vectors, bool partial, class Tile, int rows = tile_rows(vectors)>
inline void tile_of_rows(const Tile& t, int wanted) {
  if (wanted == rows) return multiply<rows, vectors, partial>(t);
  if constexpr (rows > 1) tile_of_rows<vectors, partial, Tile, rows - 1>(t, wanted);
}

// A tile of either kind with so many rows.
template <bool partial, class Tile, int vectors = tile_vectors>
inline void multiply_tile(const Tile& t, int rows) {
  if ((t.columns + lanes - 1) / lanes == vectors) return tile_of_rows<vectors, partial>(t, rows);
  if constexpr (vectors > 1) multiply_tile<partial, Tile, vectors - 1>(t, rows);
}

// Dot products, for weights in their own layout and for few columns: y[m][n] = sum_{t, k} a[t][m][k] * b[b_offsets[t] + n * b_stride + k].
#if defined(__AVX512F__)
constexpr int dot_columns = 6;
constexpr int dot_rows(int columns) { return columns <= 3 ? 8 : 4; }
#elif defined(__AVX2__)
constexpr int dot_columns = 3;
constexpr int dot_rows(int) { return 4; }
#else
constexpr int dot_columns = 2;
constexpr int dot_rows(int) { return 4; }
#endif
constexpr int max_dot_rows = dot_rows(1);

template <int rows, int columns>
void dot(const RowTile& t) {
  VecF sum[rows][columns] = {};
  const std::int64_t whole = t.k / lanes * lanes;
  const int rest = static_cast<int>(t.k - whole);
  for (std::int64_t tap = 0; tap < t.taps; ++tap) {
    const float* const* pointers = t.a + tap * t.a_pitch;
    if (!pointers[0]) continue;
    const float* a[rows];
    const float* b[columns];
    for (int m = 0; m < rows; ++m) a[m] = pointers[m];
    for (int n = 0; n < columns; ++n) b[n] = t.b + t.b_offsets[tap] + n * t.b_stride;
    for (std::int64_t k = 0; k < whole; k += lanes) {
      VecF right[columns];
      for (int n = 0; n < columns; ++n) right[n] = load(b[n] + k);
      for (int m = 0; m < rows; ++m) {
        VecF left = load(a[m] + k);
        for (int n = 0; n < columns; ++n) sum[m][n] += left * right[n];
      }
    }
    if (!rest) continue;
    for (int n = 0; n < columns; ++n) {
      VecF right = load_first(b[n] + whole, rest);
      for (int m = 0; m < rows; ++m) sum[m][n] += load_first(a[m] + whole, rest) * right;
    }
  }
  for (int m = 0; m < rows; ++m)
    for (int n = 0; n < columns; ++n) t.y[m][n] = sum_lanes(sum[m][n]);
}

template <int columns, int rows = dot_rows(columns)>
inline void dot_with_rows(const RowTile& t, int wanted) {
  if (wanted == rows) return dot<rows, columns>(t);
  if constexpr (rows > 1) dot_with_rows<columns, rows - 1>(t, wanted);
}

template <int columns = dot_columns>
inline void dot(const RowTile& t, int rows) {
  if (t.columns == columns) return dot_with_rows<columns>(t, rows);
  if constexpr (columns > 1) dot<columns - 1>(t, rows);
}

}  // namespace
}  // namespace g2s::kernels::G2S_ISA
