// A depthwise 3x3 convolution followed by a 1x1 convolution, bias and activation: the layer of MobileStyleGAN (Belousov 2021) and of other
// small networks.
#pragma once

#include "engine/tensor.h"
#include "kernels/bias_act/bias_act.h"

namespace g2s {

// y = bias_act(conv2d(depthwise_conv2d(style * x, depthwise), pointwise), act)
// x [B,H,W,C]; style [B,C] for each image and channel, or undefined: none; depthwise [3,3,C]; pointwise [O,1,1,C] -> y [B,H,W,O].
// f32 and f64. `act` must fit y (bias_act.h): noise [1,H,W,1] or [B,H,W,1] with its weight [1], bias [O], slope and gain.
// Throws Error where a shape, type or device does not fit, and says which.
//
// With g the gradient before the activation, dz = conv_transpose2d(g, pointwise) and d = depthwise_conv_transpose2d(dz, depthwise):
//   dx = style d, dstyle[b,c] = sum_pixels x d, ddepthwise and dpointwise as conv.h and depthwise_conv.h say, dbias = sum g; to any order.
//
// In f32 on the CPU, without act.scale and unless act.noise_weight needs a gradient, all is done block by block: style * x and what lies
// between the two convolutions are never written, and neither is g unless pointwise or bias needs a gradient. The derivative keeps x and y,
// which the next layer keeps anyway. Elsewhere it is the composition that the formula says, of conv2d_bias_act and
// depthwise_conv2d_modulated. At precision bf16 the 1x1 convolution rounds its factors, the depthwise one does not.
Tensor separable_conv2d_bias_act(const Tensor& x, const Tensor& style, const Tensor& depthwise, const Tensor& pointwise,
                                 const BiasAct& act);

}  // namespace g2s
