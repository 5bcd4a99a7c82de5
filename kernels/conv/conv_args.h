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

enum class ConvKind : std::int32_t { forward, input_grad, weight_grad };

struct EpilogueArgs;  // kernels/matmul/gemm_args.h

// The convolutions on CUDA, as one product each, cut as GemmTiling says.
template <class T>
struct ConvArgs {
  ConvKind kind;
  ConvShape shape;
  const T* first;            // as in PlainConvArgs
  const T* second;
  const T* style;  // what `first` is multiplied by, for each image and channel; f32 alone, not of the weight gradient; or null
  T* result;
  T* partial;                    // [split_k, size of result], or null where split_k is 1
  const EpilogueArgs* epilogue;  // of a forward product in f32, or null
  std::uint8_t* mask;            // like the result of a forward product in f32: 1 where it is positive; or null
  bool vectors;                  // all channels that are read are multiples of four; f32 alone
  bool y_vectors;                // those of y are, those of x not; for the gradients
  std::int32_t mode;             // MathMode; of f64 fma
  std::int32_t tile, split_k, steps;
};

// The positions of an axis of x that are `stride` apart meet every stride / gcd(stride, dilation)-th row of the kernel, or none.
static constexpr std::int64_t conv_taps_between(const ConvShape& s) {
  std::int64_t a = s.stride, b = s.dilation;
  while (b != 0) {
    const std::int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return s.stride / a;
}

G2S_ISA_KERNEL(plain_conv_forward, PlainConvArgs)
G2S_ISA_KERNEL(plain_conv_input_grad, PlainConvArgs)
G2S_ISA_KERNEL(plain_conv_weight_grad, PlainConvArgs)
G2S_CUDA_KERNEL(conv_f32, ConvArgs<float>)
G2S_CUDA_KERNEL(conv_f64, ConvArgs<double>)
G2S_CUDA_KERNEL(conv_finish_f32, ConvArgs<float>)  // the epilogue alone, of what is in `partial`

}  // namespace g2s::kernels
