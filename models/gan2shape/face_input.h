// A photograph of a face as the preset ffhq wants it: in FFHQ's frame, with the face's pose and mask from its landmarks.
#pragma once

#include "engine/export.h"
#include "models/face/face.h"
#include "models/gan2shape/input.h"

namespace g2s G2S_EXPORTED {

// The mask is the hull of the landmarks, a little larger. Throws naming the picture if the face cannot be worked with.
PreparedInput prepare_face(const LoadedInput& input, const Config& config, const Face& face);

}  // namespace g2s
