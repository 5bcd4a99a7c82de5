// Squares cut out of a picture, turned, of any size, antialiased.
#pragma once

#include <array>

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

// Pixels of a picture: x to the right, y down, (0, 0) the upper left corner of the upper left pixel.
struct Point {
  double x = 0, y = 0;
};
inline Point operator+(Point a, Point b) { return {a.x + b.x, a.y + b.y}; }
inline Point operator-(Point a, Point b) { return {a.x - b.x, a.y - b.y}; }
inline Point operator*(double s, Point a) { return {s * a.x, s * a.y}; }
double length(Point a);

// A square: top left, bottom left, bottom right, top right as it will be seen upright. It may reach beyond the picture.
using Corners = std::array<Point, 4>;
// The square of that side about a centre, its upper edge turned by `angle` (radians, clockwise as seen).
Corners square_corners(Point centre, double side, double angle);

// pixels u8 [1,H,W,C] -> f32 [1,size,size,C] from 0 to 255: each the mean over its part of the square. Beyond its edges the picture is
// mirrored.
// `coarse`: a bilinear sample for each whole pixel of the picture that one covers, as the networks are used to; below two pixels just one.
Tensor sample_square(const Tensor& pixels, const Corners& corners, std::int64_t size, bool coarse = false);

// The mean of each k x k pixels, rounded; what is left over at the right and lower edge is dropped. u8 [1,H,W,C], k up to 256.
Tensor reduce_pixels(const Tensor& pixels, std::int64_t k);

}  // namespace G2S_EXPORTED
