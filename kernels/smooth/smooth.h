#pragma once

#include "engine/tensor.h"

namespace g2s {

// Mean absolute second differences: mean|dxx| + mean|dxy| + mean|dyx| + mean|dyy| of x [B,H,W,C], a scalar []. First derivative.
Tensor smooth_loss(const Tensor& x);

}  // namespace g2s
