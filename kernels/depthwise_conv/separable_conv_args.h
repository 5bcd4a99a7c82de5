#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

struct EpilogueArgs;  // kernels/matmul/gemm_args.h

// A product of matrices, y[pixel, n] = sum_k left[pixel, k] w[k, n], whose left rows are made just before they are multiplied. They are
//   a depthwise convolution of style * x, with `taps`,
//   or x where `gate` is positive and slope x elsewhere, times gain, without: a gradient behind an activation, `gate` being its output.
struct SeparableArgs {
  const float* x;      // [batch, rows, columns, k]
  const float* taps;   // [3, 3, k] or null
  const float* style;  // [batch, k] or null
  float* styled;       // memory for [batch, 3, 3, k], with style
  const float* zeros;  // [k] zeros, with taps
  const float* gate;   // like x, without taps
  float slope, gain;   // without taps
  const float* w;      // [k, n] as panels (PackArgs)
  float* y;            // [batch, rows, columns, n]
  std::int64_t batch, rows, columns, k, n;
  const EpilogueArgs* epilogue;  // or null
};

G2S_ISA_KERNEL(separable_conv_cpu, SeparableArgs)

}  // namespace g2s::kernels
