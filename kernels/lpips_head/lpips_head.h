#pragma once

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

// One layer of LPIPS (Zhang et al. 2018): features a, b [B,H,W,C] divided by (their channel norm + 1e-10), squared difference,
// weighted by head [C], mean over H and W -> [B]: d = 1/(HW) sum_pixels,c head (a i_a - b i_b)^2, i_a = 1 / (|a| + 1e-10).
// With g = 2 dd / (HW) head (a i_a - b i_b): da = i_a g - a <a, g> i_a^2 / |a|, 0 where all of a is 0; db = -(i_b g - b <b, g> i_b^2 / |b|).
// First derivatives to a and b; none to head.
Tensor lpips_head(const Tensor& a, const Tensor& b, const Tensor& head);

}  // namespace g2s
