// Two-dimensional convolution (cross-correlation, as everywhere in deep learning) and its two adjoints, a set closed under differentiation.
#pragma once

#include "engine/export.h"
#include "engine/tensor.h"
#include "kernels/bias_act/bias_act.h"

namespace g2s G2S_EXPORTED {

struct ConvOptions {
  int stride = 1;
  int pad = 0;       // zeros on every side
  int dilation = 1;
};

// y[b,i,j,o] = sum_{u,v,c} x[b, i*stride + u*dilation - pad, j*stride + v*dilation - pad, c] w[o,u,v,c]
// x [B,H,W,C], w [O,kh,kw,C] -> y [B,Ho,Wo,O], Ho = (H + 2 pad - dilation (kh-1) - 1) / stride + 1, rounded down.
// dx = conv_transpose2d(dy, w), dw = conv2d_weight_grad(x, dy), to any order. The gradient of a w that needs none is never computed.
Tensor conv2d(const Tensor& x, const Tensor& w, ConvOptions options = {});

// bias_act(conv2d(x, w, options), act). In f32 at full precision, and unless act.scale or act.noise_weight needs a gradient, bias, noise and
// activation are applied while the outputs are in registers, and what lies between is neither written nor kept. Gradients as of the two, to
// any order.
Tensor conv2d_bias_act(const Tensor& x, const Tensor& w, const BiasAct& act, ConvOptions options = {});

// The adjoint of conv2d in x: x [B,h,w,O] -> [B,H,W,C] with w [O,kh,kw,C], H = (h-1)*stride - 2 pad + dilation*(kh-1) + 1 + output_pad.
// y[b, i*stride + u*dilation - pad, j*stride + v*dilation - pad, c] = the sum of x[b,i,j,o] w[o,u,v,c] over all i, j, u, v, o that meet there.
// dx = conv2d(dy, w), dw = conv2d_weight_grad(dy, x), to any order. PyTorch's conv_transpose2d, its weight [in,out,kh,kw] permuted (0,2,3,1).
Tensor conv_transpose2d(const Tensor& x, const Tensor& w, ConvOptions options = {}, int output_pad = 0);

// The same of x times a style [B,C] for each image and channel: conv2d(style * x, w), and so on. On CUDA in f32 the product with the
// style is never written. With d the gradient to style * x: dx = style d, dstyle[b,c] = sum_pixels x d, dw as above from style * x; to any order.
Tensor conv2d_modulated(const Tensor& x, const Tensor& style, const Tensor& w, ConvOptions options = {});
Tensor conv2d_modulated_bias_act(const Tensor& x, const Tensor& style, const Tensor& w, const BiasAct& act, ConvOptions options = {});
Tensor conv_transpose2d_modulated(const Tensor& x, const Tensor& style, const Tensor& w, ConvOptions options = {});

// The gradient of conv2d to its weight: x [B,H,W,C], dy [B,Ho,Wo,O] -> [O,kh,kw,C].
// dw[o,u,v,c] = sum_b,i,j x[b, i*stride + u*dilation - pad, j*stride + v*dilation - pad, c] dy[b,i,j,o].
// With g the gradient to dw: conv_transpose2d(dy, g) is that to x, conv2d(x, g) that to dy; to any order.
Tensor conv2d_weight_grad(const Tensor& x, const Tensor& dy, std::int64_t kh, std::int64_t kw, ConvOptions options = {});

}  // namespace g2s
