// The reconstructed shape as a textured triangle mesh without the background.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "engine/export.h"
#include "engine/tensor.h"
#include "kernels/geometry/geometry.h"

namespace g2s G2S_EXPORTED {

// Camera coordinates: x right, y down, z away from the camera, the image's width at depth `center` is about 0.175.
struct TexturedMesh {
  std::vector<std::array<float, 3>> positions;
  std::vector<std::array<float, 3>> normals;  // unit, towards the outside
  std::vector<std::array<float, 2>> uvs;      // (0,0) is the upper left corner of the texture, (1,1) the lower right
  std::vector<std::array<std::uint32_t, 3>> triangles;  // counter-clockwise for an observer in front
};

struct MeshSource {
  Tensor depth;    // f32 [1,S,S,1], canonical
  Tensor mask;     // f32 [1,S,S,1], canonical, object where >= 0.5
  Pinhole camera;  // of the S x S grid
  std::int64_t texture_size = 0;   // texels per side, for the texel centres
  double max_slope = 20;           // triangles steeper than this (depth change over sideways extent) are the curtain between object and background
  std::int64_t border_columns = 0;  // at the left and at the right edge, whose depth is not the shape's: no triangle has a corner there
};

// Cuts the pixel grid at the mask's 0.5 contour: triangles that straddle it are clipped, so the rim is smooth rather than a staircase.
// Throws Error(invalid_argument) if nothing is left.
TexturedMesh build_mesh(const MeshSource& source);

}  // namespace g2s
