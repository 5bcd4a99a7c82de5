#include "models/face/face.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <numbers>

namespace g2s {
namespace {

constexpr double degrees = 180 / std::numbers::pi;

Point at(const FaceMesh& points, std::size_t i) { return {points[i].x, points[i].y}; }

Point mean_of(const FaceMesh& points, std::initializer_list<std::size_t> which) {
  Point sum;
  for (std::size_t i : which) sum = sum + at(points, i);
  return 1 / static_cast<double>(which.size()) * sum;
}

// To the left and to the right as an upright face is seen.
Point left_eye(const FaceMesh& points) { return mean_of(points, {33, 133, 159, 145}); }
Point right_eye(const FaceMesh& points) { return mean_of(points, {362, 263, 386, 374}); }

FacePoint difference(const FaceMesh& points, std::size_t i, std::size_t j) {
  return {points[i].x - points[j].x, points[i].y - points[j].y, points[i].z - points[j].z};
}

}  // namespace

FacePose face_pose(const FaceMesh& points) {
  const Point eyes = right_eye(points) - left_eye(points);
  const double roll = std::atan2(eyes.y, eyes.x), c = std::cos(roll), s = std::sin(roll);
  const FacePoint across = difference(points, 454, 234), down = difference(points, 152, 10);  // cheeks; forehead and chin
  // Along the axes of the upright face.
  const double a_x = c * across.x + s * across.y, b_y = -s * down.x + c * down.y;
  return {std::atan2(across.z, a_x) * degrees, std::atan2(down.z, b_y) * degrees, roll * degrees};
}

Corners face_frame(const FaceMesh& points) {
  const Point eyes = 0.5 * (left_eye(points) + right_eye(points)), between = right_eye(points) - left_eye(points);
  const Point down = mean_of(points, {61, 291}) - eyes;
  Point x{between.x + down.y, between.y - down.x};
  const double half = std::max(2 * length(between), 1.8 * length(down)), now = length(x);
  if (!(now > 0)) fail(Errc::invalid_argument, "face", "its eyes and mouth lie in one point");
  x = half / now * x;
  const Point y{-x.y, x.x}, centre = eyes + 0.1 * down;
  return {centre - x - y, centre - x + y, centre + x + y, centre + x - y};
}

Tensor align_face(const Tensor& pixels, const Corners& frame, std::int64_t size) {
  const Tensor exact = sample_square(pixels, frame, size);
  Tensor out = Tensor::empty(exact.shape(), DType::u8, Device{});
  const float* from = exact.data<float>();
  std::uint8_t* to = out.mutable_data<std::uint8_t>();
  for (std::int64_t i = 0; i < exact.numel(); ++i) to[i] = static_cast<std::uint8_t>(std::clamp(from[i] + 0.5f, 0.f, 255.f));
  return out;
}

const char* to_string(FaceState state) { return state == FaceState::good ? "good" : state == FaceState::doubtful ? "doubtful" : "unfit"; }

}  // namespace g2s
