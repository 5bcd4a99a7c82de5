// Plain arguments of the convolution kernels.
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

// y[b, i, j, o] = sum_{u, v, c} x[b, i * stride + u * dilation - pad, j * stride + v * dilation - pad, c] w[o, u, v, c]
struct ConvShape {
  std::int64_t batch;
  std::int64_t x_rows, x_columns, x_channels;
  std::int64_t y_rows, y_columns, y_channels;  // y_rows and y_columns may be smaller than the input allows
  std::int64_t kernel_rows, kernel_columns;
  std::int64_t stride, pad, dilation;
};

// The f64 kernels: plain loops, the reference that the fast f32 paths are tested against.
struct PlainConvArgs {
  ConvShape shape;
  const double* first;   // forward: x, input gradient: dy, weight gradient: x
  const double* second;  // forward: w, input gradient: w, weight gradient: dy
  double* result;        // forward: y, input gradient: dx, weight gradient: dw
};

G2S_ISA_KERNEL(plain_conv_forward, PlainConvArgs)
G2S_ISA_KERNEL(plain_conv_input_grad, PlainConvArgs)
G2S_ISA_KERNEL(plain_conv_weight_grad, PlainConvArgs)

}  // namespace g2s::kernels
