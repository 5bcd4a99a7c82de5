// The depthwise convolution of 3x3 taps: each channel with a kernel of its own, on neighbouring pixels, the picture's size kept.
// All throw Error where a shape, type or device does not fit, and say which.
#pragma once

#include "engine/tensor.h"
#include "kernels/bias_act/bias_act.h"

namespace g2s {

// y[b,i,j,c] = sum_{u,v} x[b, i + u - 1, j + v - 1, c] w[u,v,c], x being zero outside the picture. f32 and f64.
// x [B,H,W,C], w [3,3,C] -> y [B,H,W,C]. PyTorch's conv2d(groups = C, padding = 1), its weight [C,1,3,3] permuted (2,3,0).
// dx = depthwise_conv_transpose2d(dy, w), dw = depthwise_conv2d_weight_grad(x, dy), to any order.
// At every precision it multiplies in f32: it is bound by memory, and rounding its factors would gain nothing.
Tensor depthwise_conv2d(const Tensor& x, const Tensor& w);

// The adjoint in x, which is the convolution with the turned kernel: w[2-u,2-v,c] in place of w[u,v,c].
// dx = depthwise_conv2d(dy, w), dw = depthwise_conv2d_weight_grad(dy, x), to any order.
Tensor depthwise_conv_transpose2d(const Tensor& x, const Tensor& w);

// depthwise_conv2d(style * x, w) with a style [B,C] for each image and channel, whose product with x is never written.
// With d = depthwise_conv_transpose2d(dy, w): dx = style d, dstyle[b,c] = sum_pixels x d, dw as above from style * x; to any order.
Tensor depthwise_conv2d_modulated(const Tensor& x, const Tensor& style, const Tensor& w);

// The gradients of depthwise_conv2d_modulated to x and style, as above; on the CPU in one pass, where nobody will differentiate them.
// x is for dstyle alone.
ScaleGradients depthwise_conv2d_modulated_gradients(const Tensor& dy, const Tensor& x, const Tensor& style, const Tensor& w, bool to_x,
                                                    bool to_style);

// The gradient to the weight: dw[u,v,c] = sum_{b,i,j} x[b, i + u - 1, j + v - 1, c] dy[b,i,j,c]; x and dy [B,H,W,C] -> [3,3,C].
// With g the gradient to dw: depthwise_conv_transpose2d(dy, g) is that to x, depthwise_conv2d(x, g) that to dy; to any order.
Tensor depthwise_conv2d_weight_grad(const Tensor& x, const Tensor& dy);

}  // namespace g2s
