#pragma once

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

// Group normalisation (Wu and He 2018): over H, W and the C/groups channels of a group, biased variance, then weight and bias per channel,
// then leaky ReLU with `slope` (1: none, 0: ReLU). x [B,H,W,C], weight and bias [C].
// xhat = (x - mean) rstd, rstd = 1 / sqrt(variance + eps), y = leaky(weight xhat + bias). With dpre = dy (weight xhat + bias > 0 ? 1 : slope):
//   dweight[c] = sum dpre xhat,  dbias[c] = sum dpre,  dx = rstd (weight dpre - mean(weight dpre) - xhat mean(weight dpre xhat)),
// means over the group: what moves mean and variance alone is taken out. First derivatives only.
Tensor group_norm(const Tensor& x, int groups, const Tensor& weight, const Tensor& bias, double eps = 1e-5, double slope = 1);

}  // namespace g2s
