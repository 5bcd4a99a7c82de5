// A face that was found in a picture, and the square in which FFHQ (Karras et al. 2019) shows faces.
#pragma once

#include <array>
#include <string>

#include "models/face/sampling.h"

namespace g2s G2S_EXPORTED {

constexpr std::size_t face_points = 468;

// MediaPipe's face mesh. x and y as in Point; z in pixels too: smaller is nearer to the camera, 0 about at the middle of the head.
struct FacePoint {
  double x = 0, y = 0, z = 0;
};
using FaceMesh = std::array<FacePoint, face_points>;

// Degrees. 0, 0, 0 looks into the camera. yaw: towards the right edge of the upright face's picture positive; pitch: down positive; roll:
// how far the head is turned in the picture's plane, clockwise as seen positive, -180 to 180.
struct FacePose {
  double yaw = 0, pitch = 0, roll = 0;
};

// How well a face can be worked with.
enum class FaceState {
  good,
  doubtful,  // it can be used, but the result may be poor: `remark` says why
  unfit,     // it cannot
};

struct Face {
  std::size_t number = 0;                           // 1 is the largest face of the picture
  double left = 0, top = 0, width = 0, height = 0;  // the box around the points, in pixels of the upright picture; may reach beyond it
  double score = 0;                                 // of the detector, 0 to 1
  double presence = 0;  // how sure the points' network is to see a face: photographs 28 to 56, paintings 15 to 42; least 8
  FaceMesh points;
  FacePose pose;
  Corners frame;  // FFHQ's
  FaceState state = FaceState::good;
  std::string remark;  // a clause: "it is turned away by 71 degrees, ..."; empty if good
};

FacePose face_pose(const FaceMesh& points);
// By FFHQ's formula: upright along the eyes, as large as the eyes' distance and their distance to the mouth want it.
Corners face_frame(const FaceMesh& points);
// The frame as a picture: u8 [1,size,size,C] of pixels u8 [1,H,W,C], antialiased, beyond the edges mirrored.
Tensor align_face(const Tensor& pixels, const Corners& frame, std::int64_t size);

const char* to_string(FaceState state);

}  // namespace G2S_EXPORTED
