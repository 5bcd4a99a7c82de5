// The texture of the exported mesh, in the canonical frame.
#pragma once

#include "engine/export.h"
#include "models/gan2shape/fit.h"

namespace g2s G2S_EXPORTED {

// Positions in [-1,1] of size x size texels over an image whose corner pixels' centres are the corner texels' centres: [1,size,size,2].
Tensor texel_grid(std::int64_t size);

// f32 [1,size,size,3] in [-1,1]: the photograph where the input's camera sees the surface well, the fit's texture elsewhere, blended in between.
// photo f32 [1,N,N,3] in [-1,1]: the image that the S x S input was made from.
Tensor bake_texture(const FitResult& fit, const Renderer& renderer, const Tensor& photo, std::int64_t size);

}  // namespace g2s
