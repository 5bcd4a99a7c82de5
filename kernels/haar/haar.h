// One step of the Haar wavelet transform: synthesis makes one picture of four bands at half its size, analysis goes back.
// All throw Error where a shape, type or device does not fit, and say which.
#pragma once

#include "engine/tensor.h"
#include "kernels/bias_act/bias_act.h"

namespace g2s {

// x [B,H,W,4C] -> y [B,2H,2W,C]. f32 and f64. The bands of channel c are lo = x[.., c] and, behind all of those and channel by channel,
// lh, hl, hh = x[.., C + 3c], x[.., C + 3c + 1], x[.., C + 3c + 2]. With all of them at pixel (i, j):
//   y[2i, 2j]   = (lo + lh + hl + hh) / 2    y[2i, 2j+1]   = (lo + lh - hl - hh) / 2
//   y[2i+1, 2j] = (lo - lh + hl - hh) / 2    y[2i+1, 2j+1] = (lo - lh - hl + hh) / 2
// The step is orthogonal: its adjoint is its inverse. dx = haar_analysis(dy), to any order.
Tensor haar_synthesis(const Tensor& x);

// The inverse: y [B,2H,2W,C] -> [B,H,W,4C]. Its gradient is haar_synthesis, to any order.
Tensor haar_analysis(const Tensor& y);

// haar_synthesis(style * x) with a style [B,4C] for each image and channel of x, whose product with x is never written.
// With d = haar_analysis(dy): dx = style d, dstyle[b,k] = sum_pixels x d; to any order.
Tensor haar_synthesis_modulated(const Tensor& x, const Tensor& style);

}  // namespace g2s
