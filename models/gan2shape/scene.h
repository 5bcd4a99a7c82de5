// A canonical shape and the images it gives: what the three steps share. Differentiable in everything where gradients are recorded.
#pragma once

#include <vector>

#include "engine/export.h"
#include "models/renderer.h"

namespace g2s G2S_EXPORTED {

// The shape and colours of the object, seen from the front.
struct Canonical {
  Tensor depth;   // [1,S,S,1], border blended
  Tensor normal;  // [1,S,S,3]
  Tensor albedo;  // [1,S,S,3] in [-1,1]

  Canonical to(Device device) const { return {depth.to(device), normal.to(device), albedo.to(device)}; }
};

// The left-right mirror image, its normals computed again from its depth. An undefined albedo stays undefined.
Canonical mirrored(const Renderer& renderer, const Canonical& canonical);

struct Shading {
  Tensor diffuse;  // [N,S,S,1]: max(0, normal . direction)
  Tensor shading;  // [N,S,S,1]: ambient + diffuse light times it
};

// light [N,4] in the networks' units, means added.
Shading shade(const Renderer& renderer, const Tensor& normal, const Tensor& light);
// The lights of step 2: random [N,3] holds dx, dy, a; ambient and diffuse light start from the object's own light [1,4].
// shading = ambient + alpha a + (diffuse + a) max(0, n.d).
Shading shade_randomly(const Renderer& renderer, const Tensor& normal, const Tensor& light, const Tensor& random, double alpha);

struct Warp {
  Tensor depth;  // [N,S,S,1]: the mesh as seen, clamped to the range plus half of it on either side
  Tensor grid;   // [N,S,S,2]: where each seen pixel lies in the canonical image, in [-1,1]
  Tensor valid;  // [N,S,S,1]: 1 where the mesh is seen, no gradient
};

// depth [1,S,S,1] canonical, view [N,6] in radians.
Warp warp(const Renderer& renderer, const Tensor& depth, const Tensor& view);

// One copy of a canonical shape (itself or its mirror image) seen with N views and lights.
struct Rendering {
  Shading shading;
  Tensor texture;  // [N,S,S,3]
  Warp warp;
  Tensor valid;    // [N,S,S,1]: where all copies are
  Tensor recon;    // [N,S,S,3], clamped to [-1,1]
};

// Fills in `valid`, outside the graph.
void share_valid(std::vector<Rendering>& copies);

}  // namespace g2s
