// The modulated convolution of StyleGAN2 (Karras et al. 2020) in its shared-weight form, demod * conv(style * x, W): exactly the form with
// weights W style of each image, since a convolution is linear in x; with one convolution for the batch and no gradient of a frozen W.
// All are made of other operators, whose gradients they have, to x, style and w, to any order: conv.h for those of conv(style * x, W).
#pragma once

#include "engine/export.h"
#include "engine/tensor.h"
#include "kernels/bias_act/bias_act.h"

namespace g2s G2S_EXPORTED {

struct ModulatedConv {
  bool upsample = false;  // stride-2 transposed convolution followed by the [1,3,3,1] blur, gain 4
};

// x [B,H,W,C], w [O,k,k,C] already scaled by 1/sqrt(fan_in), style [B,C] -> [B,H',W',O], not demodulated.
Tensor modulated_conv2d(const Tensor& x, const Tensor& w, const Tensor& style, ModulatedConv options = {});
// bias_act of it, in one pass where conv2d_bias_act can.
Tensor modulated_conv2d_bias_act(const Tensor& x, const Tensor& w, const Tensor& style, const BiasAct& act, ModulatedConv options = {});
// demod[b,o] = 1 / sqrt(sum_{u,v,c} (w[o,u,v,c] style[b,c])^2 + 1e-8): [B,O]. Feed it to bias_act as its scale.
// With q = demod: dstyle = -style ((dq q^3) Q), Q[o,c] = sum_{u,v} w^2; dw = -w sum_b (dq q^3 style^2).
Tensor demodulation(const Tensor& w, const Tensor& style);

}  // namespace g2s
