// FIR resampling of StyleGAN2: upsample by inserting zeros, pad, filter, downsample (Karras et al. 2020; rosinality upfirdn2d).
#pragma once

#include <vector>

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

struct FirPad {
  int x0 = 0, x1 = 0, y0 = 0, y1 = 0;  // zeros left, right, above, below; negative crops
};

// x [B,H,W,C] -> [B,(H*up+y0+y1-k)/down+1,(W*up+x0+x1-k)/down+1,C]. `taps` is a separable filter of k numbers, applied along both axes
// as a true convolution (the flipped kernel is correlated), times `gain`. Along one axis, with z = x and up-1 zeros behind each element:
//   y[o] = sum_j taps[k-1-j] z[o down + j - x0].  dx[i] = sum of dy[o] times the tap that met it, to any order (kernels/resample).
Tensor upfirdn2d(const Tensor& x, const std::vector<double>& taps, double gain = 1, int up = 1, int down = 1, FirPad pad = {});

// The filter [1,3,3,1] / 8 of StyleGAN2 along one axis.
const std::vector<double>& fir_1331();

}  // namespace g2s
