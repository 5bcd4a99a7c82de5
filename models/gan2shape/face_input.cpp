#include "models/gan2shape/face_input.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace g2s {
namespace {

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

// How much of each pixel is inside a convex polygon, [S,S]; its corners in pixels.
Tensor covered(const std::vector<Point>& hull, std::int64_t s) {
  Tensor out = Tensor::zeros({s, s}, DType::f32, Device{});
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

}  // namespace

Tensor hull_mask(std::vector<Point> points, std::int64_t side, double growth) {
  Point centre;
  for (const Point& p : points) centre = centre + (1.0 / static_cast<double>(points.size())) * p;
  for (Point& p : points) p = static_cast<double>(side) * (centre + growth * (p - centre));
  return covered(convex_hull(std::move(points)), side);
}

Tensor face_mask(const Face& face, std::int64_t side, double growth) {
  std::vector<Point> points;
  for (const FacePoint& p : face.points) points.push_back(in_frame(face.frame, {p.x, p.y}));
  return hull_mask(std::move(points), side, growth);
}

Tensor landmark_places(const Face& face, const Corners& corners) {
  std::vector<float> out;
  for (const FacePoint& p : face.points) {
    const Point at = in_frame(corners, {p.x, p.y});
    out.push_back(static_cast<float>(2 * at.x - 1));
    out.push_back(static_cast<float>(2 * at.y - 1));
  }
  return Tensor::from(out, {static_cast<std::int64_t>(face_points), 2}, Device{});
}

Tensor pose_of(const Face& face) {
  return Tensor::from(std::vector<float>{static_cast<float>(face.pose.yaw), static_cast<float>(face.pose.pitch)}, {1, 2});
}

}  // namespace g2s
