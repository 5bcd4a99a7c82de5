// Bound by memory where pictures leave the caches: every input is loaded for a tile of neighbouring outputs, along all channels.
#include "engine/parallel.h"
#include "kernels/depthwise_conv/depthwise_conv_args.h"
#include "kernels/depthwise_conv/depthwise_tile.isa.h"
#include "kernels/parts.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

using std::int64_t;

// Calls f(piece, b, begin, end) for pieces of rows of one image.
template <class Args, class F>
void each_piece(const Args& a, F&& f) {
  const int64_t rows = depthwise_piece_rows(a.columns, a.channels), pieces = depthwise_pieces(a.rows, a.columns, a.channels);
  parallel_for(a.batch * pieces, [&](int64_t piece) {
    const int64_t begin = piece % pieces * rows;
    f(piece, piece / pieces, begin, min(begin + rows, a.rows));
  });
}

template <class Args, class T>
Picture<T> picture(const Args& a, const T* data, int64_t b) {
  return {data + b * a.rows * a.columns * a.channels, a.zeros, a.rows, a.columns, a.channels};
}

template <class T>
void conv(const DepthwiseConvArgs<T>& a) {
  if (a.style) scale_taps(a.w, a.style, a.batch, a.channels, a.styled);
  each_piece(a, [&](int64_t, int64_t b, int64_t begin, int64_t end) {
    const Picture<T> x = picture(a, a.x, b);
    const DepthwiseTaps<T> taps(a.style ? a.styled + 9 * b * a.channels : a.w, a.channels, a.turned);
    T* y = a.y + b * a.rows * a.columns * a.channels;
    each_tile(begin, end, 0, a.columns, [&](auto size, int64_t row, int64_t column) {
      constexpr int R = decltype(size)::rows, C = decltype(size)::columns;
      const Window<T, R, C> window(x, row, column);
      T* to = y + (row * a.columns + column) * a.channels;
      along_channels<T>(a.channels, [&](auto vector, int64_t c) {
        decltype(vector) sum[R][C];
        convolve(window, taps, c, sum);
        for (int r = 0; r < R; ++r)
          for (int i = 0; i < C; ++i) write(to + (r * a.columns + i) * a.channels + c, sum[r][i]);
      });
    });
  });
}

template <bool ToX, bool ToStyle, class T>
void style_grad(const DepthwiseStyleGradArgs<T>& a) {
  each_piece(a, [&](int64_t piece, int64_t b, int64_t begin, int64_t end) {
    const Picture<T> dy = picture(a, a.dy, b);
    const DepthwiseTaps<T> taps(a.w, a.channels, true);
    const T* style = a.style + b * a.channels;
    T* sums = ToStyle ? a.partial + piece * a.channels : nullptr;
    if constexpr (ToStyle)
      for (int64_t c = 0; c < a.channels; ++c) sums[c] = 0;
    each_tile(begin, end, 0, a.columns, [&](auto size, int64_t row, int64_t column) {
      constexpr int R = decltype(size)::rows, C = decltype(size)::columns;
      const Window<T, R, C> window(dy, row, column);
      const int64_t first = ((b * a.rows + row) * a.columns + column) * a.channels;
      along_channels<T>(a.channels, [&](auto vector, int64_t c) {
        using V = decltype(vector);
        V d[R][C], sum{};
        convolve(window, taps, c, d);
        for (int r = 0; r < R; ++r)
          for (int i = 0; i < C; ++i) {
            const int64_t at = first + (r * a.columns + i) * a.channels + c;
            if constexpr (ToStyle) sum += read<V>(a.x + at) * d[r][i];
            if constexpr (ToX) write(a.dx + at, d[r][i] * read<V>(style + c));
          }
        if constexpr (ToStyle) write(sums + c, read<V>(sums + c) + sum);
      });
    });
  });
  const int64_t pieces = depthwise_pieces(a.rows, a.columns, a.channels);
  for (int64_t b = 0; ToStyle && b < a.batch; ++b)
    add_parts(a.partial + b * pieces * a.channels, pieces, a.channels, a.dstyle + b * a.channels);
}

template <class T>
void style_gradients(const DepthwiseStyleGradArgs<T>& a) {
  if (a.dx && a.dstyle) style_grad<true, true>(a);
  else if (a.dx) style_grad<true, false>(a);
  else if (a.dstyle) style_grad<false, true>(a);
}

// The nine sums grow by what a tile of dy meets in its window.
template <class V, class T, int R, int C>
inline void correlate(const Window<T, R, C>& x, const V (&dy)[R][C], int64_t c, T* sums, int64_t channels) {
  V sum[9] = {};
  each_tap<V>(x, c, [&](int r, int u, int v, const V* in) {
#pragma GCC unroll 8
    for (int i = 0; i < C; ++i) sum[3 * u + v] += in[i] * dy[r][i];
  });
#pragma GCC unroll 9
  for (int tap = 0; tap < 9; ++tap) {
    T* to = sums + tap * channels + c;
    write(to, read<V>(to) + sum[tap]);
  }
}

template <class T>
void weight_grad(const DepthwiseWeightGradArgs<T>& a) {
  each_piece(a, [&](int64_t piece, int64_t b, int64_t begin, int64_t end) {
    const Picture<T> x = picture(a, a.x, b);
    const T* dy = a.dy + b * a.rows * a.columns * a.channels;
    T* sums = a.partial + piece * 9 * a.channels;
    for (int64_t i = 0; i < 9 * a.channels; ++i) sums[i] = 0;
    each_tile(begin, end, 0, a.columns, [&](auto size, int64_t row, int64_t column) {
      constexpr int R = decltype(size)::rows, C = decltype(size)::columns;
      const Window<T, R, C> window(x, row, column);
      const T* from = dy + (row * a.columns + column) * a.channels;
      along_channels<T>(a.channels, [&](auto vector, int64_t c) {
        using V = decltype(vector);
        V d[R][C];
        for (int r = 0; r < R; ++r)
          for (int i = 0; i < C; ++i) d[r][i] = read<V>(from + (r * a.columns + i) * a.channels + c);
        correlate(window, d, c, sums, a.channels);
      });
    });
  });
  add_parts(a.partial, a.batch * depthwise_pieces(a.rows, a.columns, a.channels), 9 * a.channels, a.dw);
}

}  // namespace

G2S_REAL_ENTRY(depthwise_conv_cpu, DepthwiseConvArgs, conv)
G2S_REAL_ENTRY(depthwise_style_grad_cpu, DepthwiseStyleGradArgs, style_gradients)
G2S_REAL_ENTRY(depthwise_weight_grad_cpu, DepthwiseWeightGradArgs, weight_grad)

}  // namespace g2s::kernels::G2S_ISA
