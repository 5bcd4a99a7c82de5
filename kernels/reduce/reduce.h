// Reductions and their adjoint, broadcasting. Sums run in fixed chunks, so that their bits do not depend on the number of threads.
#pragma once

#include <vector>

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

// Sum over `axes` (negative ones count from the end); keepdim leaves them with size 1. dx = dy repeated along them (of a mean over n: dy / n).
// All but max and min: to any order.
Tensor sum(const Tensor& x, const std::vector<int>& axes, bool keepdim = false);
Tensor sum(const Tensor& x);  // everything, to a scalar of shape []
Tensor mean(const Tensor& x, const std::vector<int>& axes, bool keepdim = false);
Tensor mean(const Tensor& x);
// Sums x down to `shape`, which broadcasts to x's shape: the adjoint of broadcast_to. Each is the other's derivative.
Tensor sum_to(const Tensor& x, const Shape& shape);
Tensor broadcast_to(const Tensor& x, const Shape& shape);
// sum_to(a * b, shape) for a and b of one shape, without the product in memory. da = dy b, db = dy a, dy repeated.
Tensor dot_to(const Tensor& a, const Tensor& b, const Shape& shape);
// Largest and smallest element as a scalar. No gradient.
Tensor max_element(const Tensor& x);
Tensor min_element(const Tensor& x);

}  // namespace g2s
