#pragma once

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

// Mean over non-overlapping k x k windows; H and W must be multiples of k. x [B,H,W,C]. dx = dy of its window / k^2, to any order.
Tensor avg_pool2d(const Tensor& x, int k);
// Largest of each k x k window at the given stride, no padding; ceil_mode keeps partial windows at the right and lower edge.
// y[b,i,j,c] = max_{u,v<k} x[b, i*stride + u, j*stride + v, c]; dx = the sum of dy over the windows whose first largest element, in row
// order, it is. First derivative only.
Tensor max_pool2d(const Tensor& x, int k, int stride, bool ceil_mode = false);

}  // namespace g2s
