// A labelled sheet of images.
#pragma once

#include <string>
#include <vector>

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

struct Tile {
  Tensor image;  // f32 [1,H,W,1 or 3] in [0,1]
  std::string label;
};

// One row of tiles per entry, each scaled (bilinear) to tile x tile pixels with its label above, on white. Below them
// the warnings, a red line each. Returns f32 [1,H,W,3] in [0,1].
Tensor contact_sheet(const std::vector<std::vector<Tile>>& rows, const std::vector<std::string>& warnings = {}, std::int64_t tile = 160);

}  // namespace g2s
