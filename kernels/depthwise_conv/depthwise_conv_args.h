// Plain arguments of the depthwise convolution's kernels.
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

// y[b, i, j, c] = sum_{u, v} style[b, c] x[b, i + u - 1, j + v - 1, c] w[u, v, c]
template <class T>
struct DepthwiseConvArgs {
  const T* x;      // [batch, rows, columns, channels]
  const T* w;      // [3, 3, channels]
  const T* style;  // [batch, channels] or null
  T* styled;       // CPU: memory for [batch, 3, 3, channels], with style
  const T* zeros;  // CPU: [channels] zeros, which are read outside the picture
  T* y;            // like x
  std::int64_t batch, rows, columns, channels;
  bool turned;  // the adjoint: w[2 - u, 2 - v] in place of w[u, v]
};

// The gradients of the above (not turned) to x and style. With d the adjoint's result: dx = style d, dstyle = the sum of x d over pixels.
template <class T>
struct DepthwiseStyleGradArgs {
  const T* dy;     // [batch, rows, columns, channels]
  const T* x;      // like dy, or null without dstyle
  const T* w;      // [3, 3, channels]
  const T* style;  // [batch, channels]
  const T* zeros;  // [channels] zeros
  T* dx;           // like dy, or null
  T* dstyle;       // [batch, channels] or null
  T* partial;      // [batch, depthwise_pieces, channels], with dstyle
  std::int64_t batch, rows, columns, channels;
};

// dw[u, v, c] = sum_{b, i, j} x[b, i + u - 1, j + v - 1, c] dy[b, i, j, c]
template <class T>
struct DepthwiseWeightGradArgs {
  const T* x;      // [batch, rows, columns, channels]
  const T* dy;     // like x
  const T* zeros;  // CPU: [channels] zeros
  T* dw;           // [3, 3, channels]
  T* partial;      // CPU: [batch, depthwise_pieces, 3, 3, channels], CUDA: [batch, rows, 3, 3, channels]
  std::int64_t batch, rows, columns, channels;
};

// On the CPU a piece of work is so many rows of one image, an even number.
static constexpr std::int64_t depthwise_piece_rows(std::int64_t columns, std::int64_t channels) {
  const std::int64_t row = columns * channels, pairs = 32768 / (row < 1 ? 1 : row);
  return pairs < 1 ? 2 : 2 * pairs;
}
// Pieces of one image.
static constexpr std::int64_t depthwise_pieces(std::int64_t rows, std::int64_t columns, std::int64_t channels) {
  const std::int64_t piece = depthwise_piece_rows(columns, channels);
  return (rows + piece - 1) / piece;
}

G2S_REAL_KERNEL(depthwise_conv, DepthwiseConvArgs)
G2S_REAL_KERNEL(depthwise_weight_grad, DepthwiseWeightGradArgs)
// On CUDA these are the adjoint and a pass over its result.
G2S_ISA_KERNEL(depthwise_style_grad_cpu, DepthwiseStyleGradArgs<float>)
G2S_ISA_KERNEL(depthwise_style_grad_cpu, DepthwiseStyleGradArgs<double>)

}  // namespace g2s::kernels
