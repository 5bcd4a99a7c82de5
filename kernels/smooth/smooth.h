#pragma once

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

// Mean absolute second differences: mean|dxx| + mean|dxy| + mean|dyx| + mean|dyy| of x [B,H,W,C], a scalar []. Unsup3D (Wu et al. 2020).
// dxx = x[w] - 2 x[w+1] + x[w+2], dxy = dyx = x[h+1,w+1] - x[h+1,w] - x[h,w+1] + x[h,w], dyy as dxx; each mean over those inside the image.
// dx = dloss times the sum, over the differences that x is part of, of its factor there times sign(difference) / their number.
// First derivative only.
Tensor smooth_loss(const Tensor& x);

}  // namespace g2s
