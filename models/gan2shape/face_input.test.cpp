#include "models/gan2shape/face_input.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>

#include "kernels/reduce/reduce.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

// Its landmarks on a circle about the middle of a frame, which lies turned in the picture.
Face round_face(double radius, double angle) {
  Face face;
  const Point centre{40, 70};
  constexpr double side = 50;
  face.frame = square_corners(centre, side, angle);
  for (std::size_t i = 0; i < face_points; ++i) {
    const double a = 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(face_points);
    face.points[i] = {centre.x + side * radius * std::cos(a), centre.y + side * radius * std::sin(a), 0};
  }
  return face;
}

}  // namespace

TEST_CASE("the mask of a face is the hull of its landmarks in its frame, as much larger as was asked for") {
  constexpr std::int64_t side = 64;
  for (double angle : {0.0, 0.7}) {
    for (double growth : {1.0, 1.25}) {
      INFO(angle, " ", growth);
      const double radius = 0.3 * growth;
      const Tensor mask = face_mask(round_face(0.3, angle), side, growth);
      REQUIRE(mask.shape() == Shape{side, side});
      CHECK(sum(mask).item() / (side * side) == doctest::Approx(std::numbers::pi * radius * radius).epsilon(0.01));
      for (std::int64_t i = 0; i < side * side; ++i) {
        const double x = (static_cast<double>(i % side) + 0.5) / side - 0.5, y = (static_cast<double>(i / side) + 0.5) / side - 0.5;
        const double away = std::hypot(x, y) - radius;
        if (away < -0.02) REQUIRE(mask.data<float>()[i] == 1);
        if (away > 0.02) REQUIRE(mask.data<float>()[i] == 0);
      }
    }
  }
}

TEST_CASE("the mask of a face lies as its frame does") {
  Face face = round_face(0.1, std::numbers::pi / 2);
  for (FacePoint& p : face.points) p.y -= 15;  // towards the picture's upper edge: the left one of a frame that is turned clockwise
  const Tensor mask = face_mask(face, 10, 1);
  CHECK(mask.data<float>()[5 * 10 + 2] + mask.data<float>()[4 * 10 + 1] > 1);
  CHECK(mask.data<float>()[2 * 10 + 5] == 0);
  CHECK(mask.data<float>()[5 * 10 + 8] == 0);
}

TEST_CASE("the pose of a face is its yaw and pitch") {
  Face face;
  face.pose = {12.5, -3, 40};
  const Tensor pose = pose_of(face);
  CHECK(pose.shape() == Shape{1, 2});
  CHECK(pose.to_vector<float>() == std::vector<float>{12.5f, -3});
}
