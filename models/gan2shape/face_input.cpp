#include "models/gan2shape/face_input.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/autograd.h"
#include "kernels/resize/resize.h"
#include "kernels/shape/shape.h"

namespace g2s {
namespace {

constexpr int frame_unit = 256;           // Config::crop counts in a frame of so many pixels
constexpr double mask_growth = 1.08;      // the hull of the landmarks ends at the hairline
constexpr std::int64_t mask_samples = 4;  // of a pixel's side

double cross(Point o, Point a, Point b) { return (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x); }

// Andrew's monotone chain.
std::vector<Point> convex_hull(std::vector<Point> points) {
  std::sort(points.begin(), points.end(), [](Point a, Point b) { return a.x < b.x || (a.x == b.x && a.y < b.y); });
  std::vector<Point> hull;
  for (int side = 0; side < 2; ++side) {
    const std::size_t first = hull.size();
    for (const Point& p : points) {
      while (hull.size() >= first + 2 && cross(hull[hull.size() - 2], hull.back(), p) <= 0) hull.pop_back();
      hull.push_back(p);
    }
    hull.pop_back();
    std::reverse(points.begin(), points.end());
  }
  return hull;
}

// How much of each pixel is inside a convex polygon, [1,S,S,1]; its corners in pixels.
Tensor covered(const std::vector<Point>& hull, std::int64_t s) {
  Tensor out = Tensor::zeros({1, s, s, 1}, DType::f32, Device{});
  float* y = out.mutable_data<float>();
  const std::int64_t n = mask_samples;
  for (std::int64_t i = 0; i < s * n; ++i)
    for (std::int64_t j = 0; j < s * n; ++j) {
      const Point p{(static_cast<double>(j) + 0.5) / static_cast<double>(n), (static_cast<double>(i) + 0.5) / static_cast<double>(n)};
      bool inside = true;
      for (std::size_t k = 0; k < hull.size() && inside; ++k) inside = cross(hull[k], hull[(k + 1) % hull.size()], p) >= 0;
      if (inside) y[i / n * s + j / n] += 1 / static_cast<float>(n * n);
    }
  return out;
}

// A point of the picture in the frame, from 0 to 1.
Point in_frame(const Corners& frame, Point p) {
  const Point x = frame[3] - frame[0], y = frame[1] - frame[0], d = p - frame[0];
  const double side = x.x * x.x + x.y * x.y;
  return {(d.x * x.x + d.y * x.y) / side, (d.x * y.x + d.y * y.y) / side};
}

Tensor hull_mask(const Face& face, double margin, std::int64_t s) {
  std::vector<Point> points;
  Point centre;
  for (const FacePoint& p : face.points) {
    points.push_back(in_frame(face.frame, {p.x, p.y}));
    centre = centre + (1.0 / static_cast<double>(face_points)) * points.back();
  }
  const double scale = static_cast<double>(s) / (1 - 2 * margin);
  for (Point& p : points) {
    const Point grown = centre + mask_growth * (p - centre);
    p = scale * Point{grown.x - margin, grown.y - margin};
  }
  return covered(convex_hull(points), s);
}

}  // namespace

PreparedInput prepare_face(const LoadedInput& input, const Config& config, const Face& face) {
  if (face.state == FaceState::unfit) fail(Errc::invalid_argument, input.names.image, face.remark);
  NoGrad no_grad;
  const double margin = config.crop > 0 ? (1 - static_cast<double>(config.crop) / frame_unit) / 2 : 0, side = length(face.frame[3] - face.frame[0]);
  PreparedInput out;
  const auto crop_side = std::clamp<std::int64_t>(std::llround(side * (1 - 2 * margin)), config.size, max_photo_side);
  const Point x = face.frame[3] - face.frame[0], y = face.frame[1] - face.frame[0];
  auto corner = [&](double u, double v) { return face.frame[0] + u * x + v * y; };
  const Corners used = {corner(margin, margin), corner(margin, 1 - margin), corner(1 - margin, 1 - margin), corner(1 - margin, margin)};
  out.photo = align_face(input.image.rgb, used, crop_side);
  out.image = pixels_to_image(align_face(input.image.rgb, used, config.size));
  out.mask = hull_mask(face, margin, config.size);
  out.mask_source = "landmarks";
  out.corners = {used.begin(), used.end()};
  out.pose = Tensor::from(std::vector<float>{static_cast<float>(face.pose.yaw), static_cast<float>(face.pose.pitch)}, {1, 2});
  out.original_size = frame_unit;
  out.notes.push_back(str("the face of ", std::llround(face.width), " x ", std::llround(face.height), " pixels, turned by ", std::llround(face.pose.yaw),
                          " degrees, is put into FFHQ's frame"));
  if (!face.remark.empty()) out.notes.push_back(face.remark);
  return out;
}

}  // namespace g2s
