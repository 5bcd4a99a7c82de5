// Operators that only move elements. Any dtype forward. f32 and f64: dx moves them back, to any order, as noted behind each.
#pragma once

#include <vector>

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

Tensor permute(const Tensor& x, const std::vector<int>& order);                          // y.shape[i] = x.shape[order[i]]; dx: the inverse order
Tensor slice(const Tensor& x, int axis, std::int64_t begin, std::int64_t end);           // elements begin .. end-1 of one axis; dx: pad
inline Tensor slice(const Tensor& x, int axis, std::int64_t at) { return slice(x, axis, at, at + 1); }  // one element; the axis stays
Tensor concat(const std::vector<Tensor>& parts, int axis);                               // gradients: slices
Tensor pad(const Tensor& x, int axis, std::int64_t before, std::int64_t after, double value = 0);  // value outside; dx: slice
Tensor flip(const Tensor& x, int axis);                                                  // dx: flip
inline Tensor nhwc_to_nchw(const Tensor& x) { return permute(x, {0, 3, 1, 2}); }
inline Tensor nchw_to_nhwc(const Tensor& x) { return permute(x, {0, 2, 3, 1}); }

}  // namespace g2s
