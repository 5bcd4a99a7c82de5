// Scale, noise, bias, activation and gain in one pass over the image.
#pragma once

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

struct BiasAct {
  Tensor scale{};         // [B,C] or undefined: demodulation
  Tensor noise{};         // [1,H,W,1] or [B,H,W,1] or undefined
  Tensor noise_weight{};  // [1], with noise
  Tensor bias{};          // [C] or undefined
  double slope = 0.2;     // of the leaky ReLU; 1 means none
  double gain = 1;
};

// y = gain * leaky_relu(scale * x + noise_weight * noise + bias, slope); x [B,H,W,C] or [B,C] (then without noise).
// With dpre = dy gain (y > 0 ? 1 : slope), y being positive exactly where what is activated is:
//   dx = scale dpre,  dscale[b,c] = sum_pixels x dpre,  dbias[c] = sum_b,pixels dpre,  dnoise_weight = sum noise dpre; none to noise.
// To any order: dpre is linear in dy, and leaky ReLU's own second derivative is 0. StyleGAN2 (Karras et al. 2020).
Tensor bias_act(const Tensor& x, const BiasAct& args);

// Throws unless `args` fit x.
void check_bias_act(const Tensor& x, const BiasAct& args);
// The activation mask, u8: 1 where y is positive. What the derivative of an activation needs of its output, in a quarter of the memory.
Tensor bias_act_mask(const Tensor& y);
// The gradient of y = bias_act(x, args) to scale * x + noise_weight * noise + bias, from the mask of y: dy * gain * (mask ? 1 : slope).
// Differentiable in dy. The mask may be undefined where the slope is 1.
Tensor bias_act_preactivation_grad(const Tensor& dy, const Tensor& mask, const BiasAct& args);

struct ScaleGradients {
  Tensor dx, dscale;  // undefined where not wanted
};
// The gradients of scale * x, as bias_act computes it, from dy: for those who read scale * x without writing it. x is for dscale alone.
// Differentiable where gradients are recorded.
ScaleGradients bias_act_scale_gradients(const Tensor& dy, const Tensor& x, const Tensor& scale, bool to_x, bool to_scale);

}  // namespace g2s
