#include "kernels/geometry/geometry.h"

#include <doctest/doctest.h>

#include <cmath>

#include "engine/autograd.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

Pinhole camera_of(const Case& c) { return {c.number("focal"), c.number("cx"), c.number("cy")}; }

// The message of the Error that f throws.
template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "nothing was thrown";
}

const Pinhole camera{50, 3, 2.5};

}  // namespace

TEST_CASE("geometry") {
  run_cases("geometry", [](const Case& c, const std::vector<Tensor>& in) {
    if (c.op == "unproject") return unproject(in[0], camera_of(c));
    if (c.op == "rotation_matrix") return rotation_matrix(in[0]);
    if (c.op == "rigid_transform") return rigid_transform(in[0], in[1], in[2], c.number("center"), c.boolean("inverse"));
    if (c.op == "project_to_grid") return project_to_grid(in[0], camera_of(c));
    return normals_from_depth(in[0], camera_of(c));
  });
}

TEST_CASE("the inverse transform undoes the transform") {
  Tensor points = hashed_input("inverse/points", {1, 6, 5, 3}, DType::f64, 0.5, 0.5), angles = hashed_input("inverse/angles", {3, 3}, DType::f64);
  Tensor rotation = rotation_matrix(angles), translation = hashed_input("inverse/translation", {3, 3}, DType::f64);
  Tensor back = rigid_transform(rigid_transform(points, rotation, translation, 1), rotation, translation, 1, true);
  for (int b = 0; b < 3; ++b)
    for (std::int64_t i = 0; i < points.numel(); ++i)
      CHECK(back.data<double>()[b * points.numel() + i] == doctest::Approx(points.data<double>()[i]).epsilon(1e-12));
}

TEST_CASE("rotation matrices are orthogonal and turn x to y about z") {
  Tensor r = rotation_matrix(Tensor::from(std::vector<double>{0, 0, std::acos(-1.0) / 2, 0.3, -1.2, 2.1}, {2, 3}));
  const double* m = r.data<double>();
  CHECK(m[3] == doctest::Approx(1));  // y of the turned x axis
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) {
      double product = 0;
      for (int k = 0; k < 3; ++k) product += m[9 + 3 * i + k] * m[9 + 3 * j + k];
      CHECK(std::abs(product - (i == j)) < 1e-14);
    }
}

TEST_CASE("unprojected depth projects to the regular grid") {
  Tensor grid = project_to_grid(unproject(hashed_input("regular", {1, 6, 7, 1}, DType::f64, 0.3, 1), camera), camera);
  for (int y = 0; y < 6; ++y)
    for (int x = 0; x < 7; ++x) {
      CHECK(std::abs(grid.data<double>()[(y * 7 + x) * 2] - (x / 3.0 - 1)) < 1e-14);
      CHECK(std::abs(grid.data<double>()[(y * 7 + x) * 2 + 1] - (y / 2.5 - 1)) < 1e-14);
    }
}

TEST_CASE("a plane that faces the camera has the normal (0,0,1), and no depth gives no NaN") {
  Tensor n = normals_from_depth(Tensor::full({1, 6, 7, 1}, 1.5, DType::f64), camera);
  for (int i = 0; i < 42; ++i) CHECK(n.data<double>()[3 * i + 2] == doctest::Approx(1).epsilon(1e-3));
  Tensor none = Tensor::zeros({1, 6, 7, 1}).set_requires_grad();
  Tensor flat = normals_from_depth(none, camera);
  Tensor gradient = grad({flat}, {none}, {hashed_input("flat", flat.shape())})[0];
  CHECK(std::isfinite(norm(flat)));
  CHECK(norm(gradient) == 0);
}

TEST_CASE("geometry: on the device" * doctest::skip(no_test_device())) {
  Tensor none = Tensor::zeros({1, 6, 7, 1}, DType::f32, test_device()).set_requires_grad();
  Tensor flat = normals_from_depth(none, camera);
  for (float v : flat.to_vector<float>()) CHECK(std::isfinite(v));
  for (float v : grad({flat}, {none}, {hashed_input("flat", flat.shape()).to(test_device())})[0].to_vector<float>()) CHECK(v == 0);
  Tensor angles = Tensor::zeros({1, 3}, DType::f32, test_device());
  CHECK_THROWS_AS(rigid_transform(unproject(none, camera), rotation_matrix(angles), Tensor::zeros({1, 3}, DType::f32, Device{}), 1), Error);
}

TEST_CASE("geometry names what does not fit") {
  Tensor points = Tensor::zeros({2, 4, 4, 3}), rotation = Tensor::zeros({3, 3, 3}), translation = Tensor::zeros({3, 3});
  CHECK(message_of([&] { unproject(points, camera); }) == "unproject: depth must be [B,H,W,1], got f32 [2,4,4,3]");
  CHECK(message_of([&] { rigid_transform(points, rotation, translation, 1); }).find("got f32 [2,4,4,3], f32 [3,3,3], f32 [3,3]") != std::string::npos);
  CHECK(message_of([&] { rotation_matrix(Tensor::zeros({2, 6})); }) == "rotation_matrix: angles must be [B,3], got f32 [2,6]");
  CHECK(message_of([&] { project_to_grid(Tensor::zeros({1, 1, 4, 3}), camera); }).find("at least 2 x 2") != std::string::npos);
  CHECK(message_of([&] { normals_from_depth(Tensor::zeros({1, 4, 4, 1}, DType::i32), camera); }).find("needs f32 or f64") != std::string::npos);
}

TEST_CASE("a second derivative of the geometry is refused, not wrong") {
  Tensor depth = Tensor::full({1, 4, 4, 1}, 1, DType::f64).set_requires_grad();
  Tensor n = normals_from_depth(depth, camera);
  Tensor first = grad({n}, {depth}, {hashed_input("second", n.shape(), DType::f64)}, {.create_graph = true})[0];
  CHECK(message_of([&] { grad({first}, {depth}, {first.detach()}); }) == "normals_from_depth: has no second derivative");
}
