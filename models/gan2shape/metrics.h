// Accuracy against a true depth, as published for GAN2Shape and Unsup3D.
#pragma once

#include "engine/export.h"
#include "engine/tensor.h"
#include "models/gan2shape/config.h"

namespace g2s G2S_EXPORTED {

struct Accuracy {
  double side = 0;          // scale-invariant depth error: standard deviation of log depth minus log true depth
  double mad = 0;           // mean angle between the normals, degrees
  std::int64_t pixels = 0;  // that were compared
};

struct Measures {
  Accuracy fit, ellipsoid, constant;  // all on the same pixels
};

// Background of a true depth: where it is largest (docs/method.md section 5). depth [1,S,S,1] -> 1 on the object.
Tensor truth_mask(const Tensor& depth);

// depth, truth [1,S,S,1] of the input view; masks [1,S,S,1] of {0,1}. Compared where both masks hold after each lost its outermost pixel
// (outside the image counts as background). Throws Error(invalid_argument) if no pixel is left.
Accuracy measure(const Tensor& depth, const Tensor& truth, const Tensor& true_mask, const Tensor& predicted_mask, Pinhole camera);

// The fit and the two baselines: the analytic ellipsoid of the object mask taken as input-view depth, and depth 1.
Measures measure_all(const Tensor& depth, const Tensor& predicted_mask, const Tensor& truth, const Tensor& object_mask, const Config& config);

}  // namespace g2s
