#pragma once

#include "engine/tensor.h"

namespace g2s {

// Group normalisation (Wu and He 2018): over H, W and the C/groups channels of a group, biased variance, then weight and bias per channel,
// then leaky ReLU with `slope` (1: none, 0: ReLU). x [B,H,W,C], weight and bias [C]. First derivatives to all three.
Tensor group_norm(const Tensor& x, int groups, const Tensor& weight, const Tensor& bias, double eps = 1e-5, double slope = 1);

}  // namespace g2s
