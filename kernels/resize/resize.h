#pragma once

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

// All: x [B,H,W,C] -> [B,height,width,C], linear in x. dx hands dy back to the pixels that an output was made of, with the same weights, to any
// order (kernels/resample). Below n is the size before, m after.

// Bilinear with half-pixel centres (align_corners false), edge pixels repeated, no antialiasing: output i lies at (i + 1/2) n/m - 1/2.
Tensor resize_bilinear(const Tensor& x, std::int64_t height, std::int64_t width);
// Adaptive average: output bin i averages input [floor(i n/m), ceil((i+1) n/m)) with equal weights.
Tensor resize_area(const Tensor& x, std::int64_t height, std::int64_t width);
// Nearest: output i takes input floor(i n/m).
Tensor resize_nearest(const Tensor& x, std::int64_t height, std::int64_t width);
// The method's rule (docs/method.md, section 4): larger than before bilinear, smaller area, same size untouched.
Tensor resize(const Tensor& x, std::int64_t height, std::int64_t width);

}  // namespace g2s
