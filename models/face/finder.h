// Faces in a picture: boxes by the detector, then 468 points on each by MediaPipe's face mesh (Kartynnik et al. 2019).
#pragma once

#include <vector>

#include "models/face/detector.h"
#include "models/face/face.h"

namespace g2s G2S_EXPORTED {

class FaceFinder {
 public:
  // face_detector.safetensors and face_landmarks.safetensors.
  FaceFinder(const SafetensorsFile& detector, const SafetensorsFile& landmarks);

  // All faces, the largest first, each once. pixels: u8 [1,H,W,3] of an upright picture, on the CPU. The work is done there, in f32.
  std::vector<Face> operator()(const Tensor& pixels) const;

 private:
  struct Points {
    FaceMesh mesh;
    double presence = 0;
  };
  struct Views {
    const Tensor &pixels, &reduced;
    double reduction;  // pixels for one of `reduced`
  };
  Points points_in(const Views& views, const Corners& square) const;
  Points points_near(const Views& views, const FaceBox& box, bool any_turn) const;
  FaceDetector detector_;
  StoredNetwork landmarks_;
};

}  // namespace G2S_EXPORTED
