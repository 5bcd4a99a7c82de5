// Draws the finished mesh for images of it: no gradients, any size, white background.
#pragma once

#include "engine/export.h"
#include "models/gan2shape/mesh.h"

namespace g2s G2S_EXPORTED {

struct MeshView {
  double yaw = 0, pitch = 0, roll = 0;       // radians, R = Rz(roll) Ry(yaw) Rx(pitch), about (0, 0, center)
  std::array<double, 3> translation{0, 0, 0};  // after the rotation
  double center = 1;
  Pinhole camera;             // of an image `grid` pixels wide, whose pixel centres are the integers
  std::int64_t grid = 0;
  std::int64_t size = 256;    // pixels of the result, which shows the same field
  int supersample = 2;
  double background = 1;
};

// texture: f32 [1,T,T,C]; its rows and columns span the mesh's uv square. Returns f32 [1,size,size,C], bilinear texture, nearest surface.
Tensor render_mesh(const TexturedMesh& mesh, const Tensor& texture, const MeshView& view);

}  // namespace g2s
