#pragma once

#include "engine/tensor.h"

namespace g2s {

// One layer of LPIPS (Zhang et al. 2018): features a, b [B,H,W,C] divided by (their channel norm + 1e-10), squared difference,
// weighted by head [C], mean over H and W -> [B]. First derivatives to a and b; none to head.
Tensor lpips_head(const Tensor& a, const Tensor& b, const Tensor& head);

}  // namespace g2s
