// Faces in a picture as boxes: MediaPipe's detector for back cameras (BlazeFace, Bazarevsky et al. 2019) over several sizes of the picture.
#pragma once

#include <array>
#include <vector>

#include "models/face/sampling.h"
#include "models/face/stored_network.h"

namespace g2s G2S_EXPORTED {

// What the network says of one face, in pixels of the picture.
struct FaceBox {
  Point centre;
  double width = 0, height = 0;
  double score = 0;              // 0 to 1
  std::array<Point, 6> points;   // eye to the left and to the right as seen, nose, mouth, ear to the left and to the right
};

class FaceDetector {
 public:
  explicit FaceDetector(const SafetensorsFile& file) : network_(file) {}

  // Faces of 4% of the picture's longer side or more, surest first, and much that is none. Heads may lie or be upside down: they score less, and
  // their points may be wrong. pixels u8 [1,H,W,3].
  std::vector<FaceBox> operator()(const Tensor& pixels) const;

 private:
  void look(const Tensor& pixels, double scale, std::vector<FaceBox>& found) const;
  StoredNetwork network_;
};

// How much of two boxes together is common to both, 0 to 1.
double overlap(const FaceBox& a, const FaceBox& b);

}  // namespace g2s
