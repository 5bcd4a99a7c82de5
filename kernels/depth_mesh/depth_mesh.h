// The depth-mesh rasteriser: a pixel grid of 3D points, seen as 2 (S-1)^2 triangles, drawn from the camera.
#pragma once

#include "engine/export.h"
#include "engine/tensor.h"
#include "kernels/geometry/geometry.h"

namespace g2s G2S_EXPORTED {

struct DepthMeshOptions {
  Pinhole camera;
  double near = 0.1;         // triangles nearer than this are not drawn
  double far = 100;          // background
  int supersample = 2;       // samples along each axis of a pixel, averaged
  double clamp_lo = 0.8, clamp_hi = 1.2;
};

// points [B,S,S,3] (warped canonical grid) -> depth [B,S,S,1], docs/method.md, section 2, warped depth; Kato et al. 2018.
// A point (X, Y, Z) is drawn at (u, v) = (X, Y) focal / Z + (cx, cy). A sample in a triangle has 1/z = w_1/Z_1 + w_2/Z_2 + w_3/Z_3, with the
// barycentric weights w that it has on the screen; the nearest triangle counts, whichever way it faces. y = clamp(mean of a pixel's samples).
// Gradient: with dq = -z^2 dy / samples of a pixel (0 where it is clamped), q = 1/z as a plane over the screen:
//   d(1/Z_k) = w_k dq,  du_k = -w_k (slope of q along u) dq,  dv_k alike; from there to X, Y, Z by the chain rule, summed by vertex in a fixed
// order. Which triangle is seen does not move: silhouettes have no gradient. First derivative only.
Tensor rasterize_depth_mesh(const Tensor& points, const DepthMeshOptions& options);

}  // namespace g2s
