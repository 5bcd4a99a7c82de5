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

// A folder of weights decides by the generator in it. Without one, photographs that show a face want the preset ffhq. Throws naming the picture
// where a face is shown and the weights are not there, saying how to get them, and where one photograph shows a face and another does not.
PresetChoice choose_preset(const std::vector<std::string>& pictures, const WeightSource& source, int size);

// Where `make faces` put the generator of faces for a method's size (64; else 128): weights/ffhq128 or weights/ffhq256 of the working directory, or
// that folder beside the assets. Of the two the other, if only that is there. Empty if there is none.
std::string folder_of_faces(const WeightSource& source, int size);

}  // namespace g2s
