#pragma once

#include "engine/tensor.h"

namespace g2s {

enum class Sampling { bilinear, nearest };

// Samples x [B or 1,H,W,C] at grid [B,h,w,2] (x then y, -1 and 1 are the centres of the corner pixels: align_corners true, zeros outside) -> [B,h,w,C].
// A batch of 1 in x is shared by all grids. Bilinear: gradients to x and grid, first order. Nearest: gradient to x only.
Tensor grid_sample(const Tensor& x, const Tensor& grid, Sampling mode = Sampling::bilinear);

}  // namespace g2s
