// Which preset a picture wants, for users who do not say.
#pragma once

#include <string>
#include <vector>

#include "engine/export.h"
#include "models/gan2shape/weights.h"

namespace g2s G2S_EXPORTED {

// The heads that the shipped generator knows come as pictures of at most so many pixels; larger ones are photographs.
constexpr std::int64_t max_head_side = 128;

struct PresetChoice {
  std::string preset;   // default or ffhq
  std::string weights;  // their folder; empty: the program's own
  std::string reason;   // a clause for the user; empty where there was nothing to choose
};

// A folder of weights decides by the generator in it. Without one, photographs that show a face want the preset ffhq, whose weights are looked for in
// weights/ffhq256 of the working directory and ffhq256 beside the assets. Throws naming the picture where a face is shown and the weights are not
// there, saying how to get them, and where one photograph shows a face and another does not.
PresetChoice choose_preset(const std::vector<std::string>& pictures, const WeightSource& source);

}  // namespace g2s
