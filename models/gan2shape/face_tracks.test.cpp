#include "models/gan2shape/face_tracks.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "engine/error.h"
#include "kernels/random/random.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

constexpr std::size_t point_count = 30;
const std::vector<std::pair<double, double>> turns = {{-30, 0}, {-15, 5}, {0, 0}, {12, -10}, {25, 8}, {5, 14}};

Matrix3 product(const Matrix3& a, const Matrix3& b) {
  Matrix3 out{};
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j)
      for (std::size_t k = 0; k < 3; ++k) out[i][j] += a[i][k] * b[k][j];
  return out;
}

// About y, then about x.
Matrix3 turned(double yaw, double pitch) {
  const double y = yaw * std::numbers::pi / 180, x = pitch * std::numbers::pi / 180;
  const Matrix3 about_y = {{{std::cos(y), 0, std::sin(y)}, {0, 1, 0}, {-std::sin(y), 0, std::cos(y)}}};
  const Matrix3 about_x = {{{1, 0, 0}, {0, std::cos(x), -std::sin(x)}, {0, std::sin(x), std::cos(x)}}};
  return product(about_x, about_y);
}

TrackPoint turned(const Matrix3& r, const TrackPoint& p) {
  auto along = [&](std::size_t row) { return r[row][0] * p.x + r[row][1] * p.y + r[row][2] * p.z; };
  return {along(0), along(1), along(2)};
}

double difference(const Matrix3& a, const Matrix3& b) {
  double most = 0;
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j) most = std::max(most, std::abs(a[i][j] - b[i][j]));
  return most;
}

double distance(const TrackPoint& a, const TrackPoint& b) { return std::hypot(a.x - b.x, a.y - b.y, a.z - b.z); }

// A rigid cloud about its mean, and pictures of it from cameras of different scale and place.
struct Scene {
  std::vector<TrackPoint> points;
  std::vector<TrackCamera> cameras;
  std::vector<std::vector<TrackPoint>> places;

  Scene() {
    Random random(0, "cloud");
    const std::vector<float> v = random.uniform({static_cast<std::int64_t>(point_count), 3}, -0.5, 0.5).to_vector<float>();
    TrackPoint mean;
    const double n = static_cast<double>(point_count);
    for (std::size_t i = 0; i < point_count; ++i) {
      points.push_back({v[3 * i], v[3 * i + 1], v[3 * i + 2]});
      mean = {mean.x + points[i].x / n, mean.y + points[i].y / n, mean.z + points[i].z / n};
    }
    for (TrackPoint& p : points) p = {p.x - mean.x, p.y - mean.y, p.z - mean.z};
    for (std::size_t k = 0; k < turns.size(); ++k) {
      const double step = static_cast<double>(k);
      cameras.push_back({turned(turns[k].first, turns[k].second), 1 + 0.03 * step, 0.1 * step - 0.2, 0.3 - 0.05 * step});
      places.push_back(seen(cameras.back()));
    }
  }
  std::vector<TrackPoint> seen(const TrackCamera& c) const {
    std::vector<TrackPoint> out;
    for (const TrackPoint& p : points) {
      const TrackPoint q = turned(c.rotation, p);
      out.push_back({c.scale * q.x + c.x, c.scale * q.y + c.y, 0});
    }
    return out;
  }
  std::vector<Matrix3> rotations() const {
    std::vector<Matrix3> out;
    for (const TrackCamera& c : cameras) out.push_back(c.rotation);
    return out;
  }
};

double largest(const std::vector<double>& v) { return *std::max_element(v.begin(), v.end()); }

}  // namespace

TEST_CASE("structure from motion: known rotations give the points up to one scale, and the cameras") {
  const Scene scene;
  const TrackedShape shape = structure_from_motion(scene.places, scene.rotations());
  REQUIRE(shape.points.size() == point_count);
  REQUIRE(shape.cameras.size() == turns.size());
  CHECK(largest(shape.residuals) < 1e-4);
  // What the alternation leaves: it starts from cameras of one scale.
  constexpr double tolerance = 3e-4;
  const double scale = distance(shape.points[0], {}) / distance(scene.points[0], {});
  for (std::size_t i = 0; i < point_count; ++i) {
    const TrackPoint& p = scene.points[i];
    CHECK(distance(shape.points[i], {scale * p.x, scale * p.y, scale * p.z}) < tolerance);
  }
  for (std::size_t k = 0; k < turns.size(); ++k) {
    const TrackCamera &got = shape.cameras[k], &want = scene.cameras[k];
    CHECK(difference(got.rotation, want.rotation) < tolerance);
    CHECK(got.scale * scale == doctest::Approx(want.scale).epsilon(tolerance));
    CHECK(std::hypot(got.x - want.x, got.y - want.y) < tolerance);
  }
}

TEST_CASE("structure from motion: rotations that are roughly known become those of the pictures") {
  const Scene scene;
  std::vector<Matrix3> rough;
  for (std::size_t k = 0; k < turns.size(); ++k) rough.push_back(turned(turns[k].first * 0.9 + (k % 2 == 0 ? 2 : -2), turns[k].second));
  const TrackedShape shape = structure_from_motion(scene.places, rough);
  const Matrix3 &first_got = shape.cameras[0].rotation, &first_want = scene.cameras[0].rotation;
  auto relative = [](const Matrix3& a, const Matrix3& b) {  // a b^T
    Matrix3 transposed{};
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 3; ++j) transposed[i][j] = b[j][i];
    return product(a, transposed);
  };
  double given_error = 0, found_error = 0;
  for (std::size_t k = 1; k < turns.size(); ++k) {
    const Matrix3 want = relative(scene.cameras[k].rotation, first_want);
    given_error = std::max(given_error, difference(relative(rough[k], rough[0]), want));
    found_error = std::max(found_error, difference(relative(shape.cameras[k].rotation, first_got), want));
  }
  INFO("given ", given_error, ", found ", found_error, ", residual ", largest(shape.residuals));
  CHECK(given_error > 0.05);
  CHECK(found_error < given_error / 5);
  CHECK(largest(shape.residuals) < 5e-3);
  TrackPoint mean;
  for (const TrackPoint& p : shape.points) mean = {mean.x + p.x, mean.y + p.y, mean.z + p.z};
  CHECK(distance(mean, {}) < 1e-3);
}

TEST_CASE("structure from motion: a point that slides over the shape is missed most") {
  Scene scene;
  constexpr std::size_t slides = 7;
  for (std::size_t k = 0; k < turns.size(); ++k) scene.places[k][slides].y += k % 2 == 0 ? 0.05 : -0.05;
  const TrackedShape shape = structure_from_motion(scene.places, scene.rotations());
  for (std::size_t i = 0; i < point_count; ++i) {
    INFO(i);
    if (i != slides) CHECK(shape.residuals[i] < shape.residuals[slides] / 3);
  }
  CHECK(shape.residuals[slides] > 0.03);
  CHECK(shape.residuals[slides] < 0.06);
}

TEST_CASE("structure from motion says which pictures do not do") {
  const Scene scene;
  auto fewer = [](auto all, std::size_t n) {
    all.resize(n);
    return all;
  };
  CHECK_THROWS_WITH_AS(structure_from_motion(fewer(scene.places, 2), fewer(scene.rotations(), 2)), "face tracks: 2 pictures and 2 rotations", Error);
  CHECK_THROWS_WITH_AS(structure_from_motion(scene.places, fewer(scene.rotations(), 4)), "face tracks: 6 pictures and 4 rotations", Error);
  auto uneven = scene.places;
  uneven[3].pop_back();
  CHECK_THROWS_WITH_AS(structure_from_motion(uneven, scene.rotations()), "face tracks: picture 3 has 29 points", Error);
  const std::vector<Matrix3> still(turns.size(), turned(10, 5));
  const std::vector<std::vector<TrackPoint>> same(turns.size(), scene.places[0]);
  CHECK_THROWS_WITH_AS(structure_from_motion(same, still), "face tracks: the pictures do not determine a shape", Error);
}

TEST_CASE("a thin plate passes through its knots, and through a plane everywhere") {
  std::vector<TrackPoint> knots, flat;
  auto plane = [](double x, double y) { return 0.3 - 0.7 * x + 1.1 * y; };
  for (const TrackPoint& p : Scene().points) {
    knots.push_back(p);
    flat.push_back({p.x, p.y, plane(p.x, p.y)});
  }
  const std::vector<double> none(point_count, 0.0), some(point_count, 0.2);
  const ThinPlate through(knots, none);
  for (const TrackPoint& p : knots) CHECK(through(p.x, p.y) == doctest::Approx(p.z).epsilon(1e-9));
  for (const std::vector<double>& give : {none, some}) {
    const ThinPlate plate(flat, give);
    for (const auto& [x, y] : {std::pair{0.0, 0.0}, {0.9, -0.4}, {-3.0, 2.0}}) CHECK(plate(x, y) == doctest::Approx(plane(x, y)).epsilon(1e-9));
  }
}

TEST_CASE("a thin plate gives way to a knot by its give, to the plane of least squares at last") {
  std::vector<TrackPoint> knots;
  for (int y = -1; y <= 1; ++y)
    for (int x = -1; x <= 1; ++x) knots.push_back({static_cast<double>(x), static_cast<double>(y), x == 0 && y == 0 ? 1.0 : 0.0});
  double before = 1 + 1e-12;
  for (double give : {0.0, 0.1, 1.0, 10.0, 1e6}) {
    const double middle = ThinPlate(knots, std::vector<double>(9, give))(0, 0);
    CHECK(middle < before);
    CHECK(middle > 1.0 / 9 - 1e-5);
    before = middle;
  }
  CHECK(before == doctest::Approx(1.0 / 9).epsilon(1e-4));
  std::vector<double> one(9, 0.0);
  one[4] = 1e6;  // the spike alone gives way
  CHECK(std::abs(ThinPlate(knots, one)(0, 0)) < 1e-5);
}
