#pragma once

#include "engine/tensor.h"

namespace g2s {

// Mean over non-overlapping k x k windows; H and W must be multiples of k. Differentiable to any order. x [B,H,W,C].
Tensor avg_pool2d(const Tensor& x, int k);
// Largest of each k x k window at the given stride, no padding; ceil_mode keeps partial windows at the right and lower edge.
// The gradient goes to the first largest element in row order. First derivative.
Tensor max_pool2d(const Tensor& x, int k, int stride, bool ceil_mode = false);

}  // namespace g2s
