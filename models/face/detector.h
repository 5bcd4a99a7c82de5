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
  double score = 0;             // 0 to 1
  bool usual = false;           // seen at the size that the network was made for
  std::array<Point, 6> points;  // eye to the left and to the right as seen, nose, mouth, ear to the left and to the right
};

// A picture as the network looks at it, in several sizes.
struct FaceSearch {
  struct Size {
    Tensor canvas;     // f32 [1,h,w,3] in [-1,1], h and w multiples of 32
    double scale = 1;  // pixels of the canvas for one of the picture
    bool usual = false;  // the size that the network was made for
    Point offset;        // of the picture on the canvas
  };
  std::vector<Size> sizes;
  Tensor reduced;              // u8 [1,H/k,W/k,3]: the mean of each k x k pixels, its longer side 1024 or more where the picture's is
  std::int64_t reduction = 1;  // k
};

class FaceDetector {
 public:
  explicit FaceDetector(const SafetensorsFile& file) : network_(file) {}

  // pixels u8 [1,H,W,3]
  static FaceSearch prepare(const Tensor& pixels);
  // Faces of 4% of the picture's longer side or more, surest first, and some that are none. The picture is turned by so many quarters of a
  // circle, clockwise, before the network sees it: of heads that lie or are upside down it finds few otherwise. Boxes are in the picture as
  // it was.
  std::vector<FaceBox> find(const FaceSearch& search, int quarters) const;

 private:
  StoredNetwork network_;
};

// How much of two boxes together is common to both, 0 to 1.
double overlap(const FaceBox& a, const FaceBox& b);

}  // namespace G2S_EXPORTED
