// The texture of the exported mesh, in the canonical frame.
#pragma once

#include "engine/tensor.h"
#include "kernels/geometry/geometry.h"

namespace g2s {

struct TextureBake {
  Tensor photo;         // f32 [1,N,N,3] in [-1,1]: the image that the S x S input was made from
  Tensor photo_mask;    // f32 [1,S,S,1]: object mask of the input
  Tensor model;         // f32 [1,S,S,3] in [-1,1]: canonical texture
  Tensor depth;         // f32 [1,S,S,1]: canonical depth
  Tensor warped_depth;  // f32 [1,S,S,1]: depth seen from the input's camera
  Tensor rotation;      // [1,3,3] and
  Tensor translation;   // [1,3]: the input's view
  double center = 1;
  Pinhole camera;       // of the S x S grid
  std::int64_t size = 1024;  // texels per side
};

// f32 [1,size,size,3] in [-1,1]: the photograph where the input's camera sees the surface well, the model's texture elsewhere, blended in between.
Tensor bake_texture(const TextureBake& bake);

}  // namespace g2s
