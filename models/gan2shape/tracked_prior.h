// The shape that a fit of a face starts from: what the generator shows of it when it turns the head.
#pragma once

#include "engine/export.h"
#include "models/gan2shape/steps.h"

namespace g2s G2S_EXPORTED {

// Turns the projected face, follows its landmarks, and makes depth [1,S,S,1] of them: a smooth surface through the points, falling back to
// prior_far at the picture's edge. With directions and faces; target has its latent. Throws if too few of the turned pictures show a face.
Tensor tracked_depth(const Method& method, const Target& target);

}  // namespace g2s
