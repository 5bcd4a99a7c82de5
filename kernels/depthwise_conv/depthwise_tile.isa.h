// Tiles of neighbouring outputs of a depthwise convolution: what is read for one output serves its neighbours too.
// Only for *.isa.cpp files.
#pragma once

#include "kernels/simd.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

// Outputs of a tile: as many as registers hold, with the inputs of a row and the kernel's row.
#if defined(__AVX512F__)
constexpr int window_rows = 2;
#else
constexpr int window_rows = 1;
#endif
constexpr int window_columns = 4;

template <class T>
struct Picture {
  const T* data;  // [rows, columns, channels]
  const T* zeros;
  std::int64_t rows, columns, channels;

  const T* at(std::int64_t row, std::int64_t column) const {
    const bool inside = row >= 0 && row < rows && column >= 0 && column < columns;
    return inside ? data + (row * columns + column) * channels : zeros;
  }
};

// The pixels that R x C outputs look at.
template <class T, int R, int C>
struct Window {
  const T* at[R + 2][C + 2];

  Window(const Picture<T>& x, std::int64_t row, std::int64_t column) {
    for (int r = 0; r < R + 2; ++r)
      for (int c = 0; c < C + 2; ++c) at[r][c] = x.at(row + r - 1, column + c - 1);
  }
};

// The nine taps at a channel, `step` elements apart; of a turned kernel the last comes first.
template <class T>
struct DepthwiseTaps {
  const T* first;
  std::int64_t step;

  DepthwiseTaps(const T* w, std::int64_t channels, bool turned)
      : first(turned ? w + 8 * channels : w), step(turned ? -channels : channels) {}
  const T* at(int u, int v) const { return first + (3 * u + v) * step; }
};

// w[3, 3, channels] times the style of each image: [batch, 3, 3, channels]. A convolution is linear in what it convolves, so that the few
// weights may as well be multiplied.
template <class T>
inline void scale_taps(const T* w, const T* style, std::int64_t batch, std::int64_t channels, T* to) {
  for (std::int64_t b = 0; b < batch; ++b, style += channels)
    for (std::int64_t tap = 0; tap < 9; ++tap, to += channels)
      for (std::int64_t c = 0; c < channels; ++c) to[c] = w[tap * channels + c] * style[c];
}

// One number, or a vector of neighbouring ones.
template <class V, class T>
inline V read(const T* from) {
  V v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
template <class V, class T>
inline void write(T* to, V v) { std::memcpy(to, &v, sizeof v); }

// Calls f(V{}, c) for all channels: vectors as long as they fit, then vectors of four, then single numbers.
template <class T, class F>
inline void along_channels(std::int64_t channels, F&& f) {
  std::int64_t c = 0;
  for (; c + lane_count<T> <= channels; c += lane_count<T>) f(Vec<T>{}, c);
  if constexpr (lane_count<T> > 4)
    for (; c + 4 <= channels; c += 4) f(Vec<T, 4>{}, c);
  for (; c < channels; ++c) f(T{}, c);
}

// Calls f(r, u, v, in) where tap (u, v) meets row r of the tile: in[i] is what it reads for column i, at the channels that begin with c.
template <class V, class T, int R, int C, class F>
inline void each_tap(const Window<T, R, C>& x, std::int64_t c, F&& f) {
#pragma GCC unroll 4
  for (int q = 0; q < R + 2; ++q) {
    V in[C + 2];
#pragma GCC unroll 8
    for (int i = 0; i < C + 2; ++i) in[i] = read<V>(x.at[q][i] + c);
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r) {
      const int u = q - r;
      if (u < 0 || u > 2) continue;
#pragma GCC unroll 3
      for (int v = 0; v < 3; ++v) f(r, u, v, in + v);
    }
  }
}

// The outputs of a tile at the channels that begin with c.
template <class V, class T, int R, int C>
inline void convolve(const Window<T, R, C>& x, const DepthwiseTaps<T>& w, std::int64_t c, V (&sum)[R][C]) {
  for (int r = 0; r < R; ++r)
    for (int i = 0; i < C; ++i) sum[r][i] = V{};
  each_tap<V>(x, c, [&](int r, int u, int v, const V* in) {
    const V tap = read<V>(w.at(u, v) + c);
#pragma GCC unroll 8
    for (int i = 0; i < C; ++i) sum[r][i] += in[i] * tap;
  });
}

template <int R, int C>
struct TileSize { static constexpr int rows = R, columns = C; };

// Calls f(TileSize, row, column) for tiles that cover the rows [row, last_row) and the columns [first_column, last_column).
template <class F>
inline void each_tile(std::int64_t row, std::int64_t last_row, std::int64_t first_column, std::int64_t last_column, F&& f) {
  auto across = [&](auto rows) {
    constexpr int R = decltype(rows)::value;
    std::int64_t column = first_column;
    for (; column + window_columns <= last_column; column += window_columns) f(TileSize<R, window_columns>{}, row, column);
    for (; column < last_column; ++column) f(TileSize<R, 1>{}, row, column);
  };
  for (; row + window_rows <= last_row; row += window_rows) across(std::integral_constant<int, window_rows>{});
  for (; row < last_row; ++row) across(std::integral_constant<int, 1>{});
}

}  // namespace
}  // namespace g2s::kernels::G2S_ISA
