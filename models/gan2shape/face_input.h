// What the preset ffhq takes from a face's landmarks: its mask and its pose.
#pragma once

#include "engine/export.h"
#include "models/face/face.h"

namespace g2s G2S_EXPORTED {

// The hull of the landmarks, `growth` times as large, in the face's frame: f32 [side,side], how much of each pixel is inside.
Tensor face_mask(const Face& face, std::int64_t side, double growth);
// f32 [1,2]: yaw and pitch in degrees.
Tensor pose_of(const Face& face);

}  // namespace g2s
