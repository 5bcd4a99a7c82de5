// The depth-mesh rasteriser: a pixel grid of 3D points, seen as 2 (S-1)^2 triangles, drawn from the camera.
#pragma once

#include "engine/tensor.h"
#include "kernels/geometry/geometry.h"

namespace g2s {

struct DepthMeshOptions {
  Pinhole camera;
  double near = 0.1;         // triangles nearer than this are not drawn
  double far = 100;          // background
  int supersample = 2;       // samples along each axis of a pixel, averaged
  double clamp_lo = 0.8, clamp_hi = 1.2;
};

// points [B,S,S,3] (warped canonical grid) -> depth [B,S,S,1], docs/method.md, section 2, warped depth: both windings, z-buffer,
// perspective-correct 1/z, flipped to image order, supersamples averaged, clamped. Gradient to the points through the covering triangle's
// barycentric weights (no silhouette gradient), first order, gathered per vertex, the same bits at any thread count.
Tensor rasterize_depth_mesh(const Tensor& points, const DepthMeshOptions& options);

}  // namespace g2s
