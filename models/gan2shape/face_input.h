// What the preset ffhq takes from a face's landmarks: its mask and its pose.
#pragma once

#include <vector>

#include "engine/export.h"
#include "models/face/face.h"

namespace g2s G2S_EXPORTED {

// The hull of the landmarks, `growth` times as large, in the face's frame: f32 [side,side], how much of each pixel is inside.
Tensor face_mask(const Face& face, std::int64_t side, double growth);
// The same of points in a picture whose sides are 1: f32 [side,side].
Tensor hull_mask(std::vector<Point> points, std::int64_t side, double growth);
// f32 [468,2]: places of the landmarks in a part of the picture with these corners, x right and y down from -1 to 1.
Tensor landmark_places(const Face& face, const Corners& corners);
// f32 [1,2]: yaw and pitch in degrees.
Tensor pose_of(const Face& face);

}  // namespace g2s
