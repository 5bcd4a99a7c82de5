// Mesh files: Wavefront OBJ with its material, and glTF 2.0 binary (GLB).
#pragma once

#include <string>
#include <string_view>

#include "engine/export.h"
#include "models/gan2shape/mesh.h"

namespace g2s G2S_EXPORTED {

// Viewers expect y up and z towards the observer, right-handed: (x, -y, center - z) * scale. With scale 1 / (2 tan(fov/2) center)
// the image is one unit wide.
struct ViewerFrame {
  double center = 1;
  double scale = 1;
};

TexturedMesh in_frame(const TexturedMesh& mesh, const ViewerFrame& frame);

// `name`.obj refers to `name`.mtl, which refers to the image `texture_file` in the same folder.
std::string obj_text(const TexturedMesh& mesh, const ViewerFrame& frame, const std::string& material_file);
std::string mtl_text(const std::string& texture_file);
// The texture is embedded: `png` is a complete PNG file. One mesh, one unlit-looking (fully rough, non-metallic) material.
std::string glb_file(const TexturedMesh& mesh, const ViewerFrame& frame, std::string_view png);

}  // namespace g2s
