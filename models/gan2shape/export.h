// Everything that a finished fit writes into its folder.
#pragma once

#include <string>

#include "engine/export.h"
#include "models/gan2shape/fit.h"

namespace g2s G2S_EXPORTED {

// Figures of what was written, for result.json.
struct ExportReport {
  std::int64_t vertices = 0, triangles = 0, texture_size = 0;
};

// Writes overview, mask, depth, normal, albedo, shape and texture images, views/, relight/, mesh.obj, mesh.mtl, mesh.glb,
// input_depth.npy and latent.safetensors into `folder`, which exists. `photo`, f32 [1,N,N,3] in [-1,1], is the square image that the
// S x S input was made from, at its own resolution. The method is the fit's: its networks draw the generator's views. All bytes depend on the arguments alone.
ExportReport export_fit(const FitResult& fit, const Method& method, const Tensor& photo, const std::string& folder);

}  // namespace g2s
