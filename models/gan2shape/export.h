// Everything that a finished fit writes into its folder.
#pragma once

#include <string>

#include "models/gan2shape/steps.h"

namespace g2s {

struct ExportInput {
  Context context;
  const Target* target = nullptr;
  Tensor photo;  // f32 [1,N,N,3] in [-1,1]: the square picture that the S x S input was made from, at its own resolution
};

// Figures of what was written, for result.json.
struct ExportReport {
  Tensor input_depth;  // f32 [S,S]: camera depth in the input view, 0 where the mesh does not reach
  std::int64_t vertices = 0, triangles = 0, texture_size = 0;
  double input_yaw = 0, input_pitch = 0;  // degrees, how the fit sees the input
};

// Writes overview, mask, depth, normal, albedo, shape and texture pictures, views/, relight/, mesh.obj, mesh.mtl, mesh.glb,
// input_depth.npy and latent.safetensors into `folder`, which exists. All bytes depend on the fit alone.
ExportReport export_fit(const ExportInput& input, const std::string& folder);

}  // namespace g2s
