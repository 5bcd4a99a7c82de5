// The shape that a fit of a face starts from: what the generator shows of it when it turns the head.
#pragma once

#include "engine/export.h"
#include "models/gan2shape/steps.h"

namespace g2s G2S_EXPORTED {

struct TrackedFace {
  Tensor depth;            // [1,S,S,1], canonical: a smooth surface through the landmarks, falling back to prior_far at the picture's edge
  Tensor mask, wide_mask;  // [1,S,S,1], canonical: the hull of the landmarks, and that hull grown by mask_growth
  Tensor rotations;        // [1,2]: how the face in the photograph is turned
  Tensor drawn_rotations;  // [1,2]: how the projected face is turned
  Tensor turn;             // [2,2]: what to ask the directions for, see turned_offset()
};

// Turns the projected face and follows its landmarks. In the photograph's view they then lie where the photograph has them. In the canonical picture the face is symmetric about the vertical, and nods as the mean face
// of the directions does. With directions and faces; target has its latent, and roughly its rotations. Throws if too few of the turned pictures
// show a face.
TrackedFace tracked_face(const Method& method, const Target& target);

}  // namespace g2s
