#pragma once

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

enum class Sampling { bilinear, nearest };

// Samples x [B or 1,H,W,C] at grid [B,h,w,2] (x then y) -> [B,h,w,C]. A batch of 1 in x is shared by all grids. As torch's grid_sample with
// align_corners: -1 and 1 are the centres of the corner pixels; zeros outside.
// Bilinear, with p = (g + 1)/2 (W-1) and its fraction f along x, and e alike along y: y = (1-e) ((1-f) x00 + f x01) + e ((1-f) x10 + f x11).
// dx[corner] += its weight dy;  dg_x = (W-1)/2 sum_c dy ((1-e) (x01 - x00) + e (x11 - x10)), dg_y alike; corners outside count as 0.
// Nearest: the pixel nearest to p; dx[it] += dy, no gradient to the grid. First derivatives only.
Tensor grid_sample(const Tensor& x, const Tensor& grid, Sampling mode = Sampling::bilinear);

}  // namespace g2s
