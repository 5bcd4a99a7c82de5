#include "kernels/depth_mesh/depth_mesh.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "engine/autograd.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

Pinhole camera_of_size(std::int64_t size) {
  double c = static_cast<double>(size - 1) / 2;
  return {c / std::tan(std::acos(-1.0) / 36), c, c};
}

DepthMeshOptions options_of_size(std::int64_t size) {
  DepthMeshOptions options;
  options.camera = camera_of_size(size);
  return options;
}

Tensor turned(const Tensor& depth, const std::vector<double>& angles) {
  std::int64_t batch = static_cast<std::int64_t>(angles.size()) / 3;
  Tensor rotation = rotation_matrix(Tensor::from(angles, {batch, 3}).to(depth.dtype()));
  return rigid_transform(unproject(depth, camera_of_size(depth.dim(1))), rotation, Tensor::zeros({batch, 3}, depth.dtype()), 1);
}

}  // namespace

TEST_CASE("depth_mesh") {
  run_cases("depth_mesh", [](const Case& c, const std::vector<Tensor>& in) {
    DepthMeshOptions o;
    o.camera = {c.number("focal"), c.number("cx"), c.number("cy")};
    o.near = c.number("near", o.near);
    o.far = c.number("far", o.far);
    o.supersample = static_cast<int>(c.integer("supersample", o.supersample));
    o.clamp_lo = c.number("clamp_lo", o.clamp_lo);
    o.clamp_hi = c.number("clamp_hi", o.clamp_hi);
    return rasterize_depth_mesh(rigid_transform(unproject(in[0], o.camera), rotation_matrix(in[1]), in[2], 1), o);
  });
}

TEST_CASE("the gradient to every coordinate of every point agrees with central differences") {
  const std::int64_t size = 9;
  Tensor points = turned(hashed_input("points/depth", {1, size, size, 1}, DType::f64, 0.02, 1), {0.2, -0.3, 0.1}).detach();
  DepthMeshOptions options = options_of_size(size);
  auto fn = [&](const std::vector<Tensor>& in) { return rasterize_depth_mesh(in[0], options); };
  GradcheckOptions check;
  check.step = 1e-7;
  check.max_elements = points.numel();
  CHECK(gradcheck(fn, {points}, check) < 1e-6);
}

TEST_CASE("a smooth mesh has no gaps, from any side and in either precision") {
  const std::int64_t size = 48;
  Tensor depth = Tensor::empty({1, size, size, 1});
  for (int y = 0; y < size; ++y)
    for (int x = 0; x < size; ++x)
      depth.mutable_data<float>()[y * size + x] = static_cast<float>(1 + 0.02 * std::sin(0.2 * x + 0.1) * std::cos(0.15 * y));
  DepthMeshOptions options = options_of_size(size);
  options.clamp_lo = 0;
  options.clamp_hi = 1000;
  for (DType dtype : {DType::f32, DType::f64})
    for (int view = 0; view < 60; ++view) {
      std::vector<double> angles{0.002 * (view % 7), view < 20 ? 0 : 0.01 * (view % 11), view % 10 == 0 ? 0 : 0.1 * view};
      Tensor seen = rasterize_depth_mesh(turned(depth.to(dtype), angles), options).to(DType::f64);
      // The inner third stays covered whatever the roll.
      for (int y = 16; y < 32; ++y)
        for (int x = 16; x < 32; ++x) REQUIRE(std::abs(seen.data<double>()[y * size + x] - 1) < 0.1);
    }
}

TEST_CASE("a flat mesh that faces the camera keeps its depth and its gradient sums to one per covered pixel") {
  const std::int64_t size = 20;
  Tensor points = unproject(Tensor::full({2, size, size, 1}, 1.05), camera_of_size(size)).set_requires_grad();
  Tensor depth = rasterize_depth_mesh(points, options_of_size(size));
  int covered = 0;
  for (float d : depth.to_vector<float>()) covered += std::abs(d - 1.05f) < 1e-5f;
  CHECK(covered == 2 * (size - 1) * (size - 1) - 2 * 0);  // pixel centres are at half samples: the last row and column reach only half way
  Tensor dpoints = grad({depth}, {points}, {Tensor::full(depth.shape(), 1)})[0];
  double along_z = 0;
  for (std::int64_t i = 0; i < dpoints.numel(); i += 3) along_z += dpoints.data<float>()[i + 2];
  CHECK(along_z == doctest::Approx(covered).epsilon(1e-4));
}

TEST_CASE("of two layers the nearer one is seen") {
  // A fold: the right half of the grid lies in front of the left half.
  const std::int64_t size = 16;
  std::vector<double> p;
  for (int y = 0; y < size; ++y)
    for (int x = 0; x < size; ++x) {
      double z = x < 8 ? 1.1 : 0.9, u = x < 8 ? x : 15 - x;
      p.insert(p.end(), {(u / 15 - 0.5) * 0.1 * z, (y / 15.0 - 0.5) * 0.1 * z, z});
    }
  DepthMeshOptions options = options_of_size(size);
  Tensor seen = rasterize_depth_mesh(Tensor::from(p, {1, size, size, 3}), options);
  CHECK(seen.data<double>()[8 * size + 5] == doctest::Approx(0.9));
}

TEST_CASE("points that cannot be drawn leave a hole and get no gradient") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  for (float bad : {nan, inf, -inf, 0.0f, -1.0f, 1e-30f}) {
    Tensor points = unproject(Tensor::full({1, 8, 8, 1}, 1), camera_of_size(8)).clone();
    points.mutable_data<float>()[(3 * 8 + 3) * 3 + 2] = bad;
    points.set_requires_grad();
    Tensor depth = rasterize_depth_mesh(points, options_of_size(8));
    CHECK(depth.data<float>()[3 * 8 + 3] == 1.2f);
    Tensor g = grad({depth}, {points}, {Tensor::full(depth.shape(), 1)})[0];
    CHECK(std::isfinite(norm(g)));
    CHECK(g.data<float>()[(3 * 8 + 3) * 3 + 2] == 0);
  }
}

TEST_CASE("depth_mesh: on the device" * doctest::skip(no_test_device())) {
  const Device device = test_device();
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const std::int64_t size = 24;
  DepthMeshOptions options = options_of_size(size);
  options.clamp_lo = 0;
  options.clamp_hi = 1000;
  options.far = 2;
  auto both = [&](const Tensor& points, double tolerance) {
    const Tensor dy = hashed_input("device/dy", {points.dim(0), size, size, 1}, points.dtype());
    Tensor here = points.detach().set_requires_grad(), there = points.to(device).detach().set_requires_grad();
    Tensor seen_here = rasterize_depth_mesh(here, options), seen_there = rasterize_depth_mesh(there, options);
    CHECK(rel_error(seen_there.detach().to(Device{}), seen_here.detach()) < tolerance);
    CHECK(rel_error(grad({seen_there}, {there}, {dy.to(device)})[0].to(Device{}), grad({seen_here}, {here}, {dy})[0]) < 100 * tolerance);
  };
  Tensor depth = hashed_input("device/depth", {2, size, size, 1}, DType::f64, 0.02, 1);
  for (double turn : {0.3, 0.9, 1.45, 2.2, 3.0}) {  // seen from the side, cells cover long strips, and some boxes are large
    Tensor points = turned(depth, {0.1, turn, 0.2, -0.3, turn, 0.5}).detach();
    both(points, 1e-12);
    both(points.to(DType::f32), 1e-5);
  }
  Tensor folded = hashed_input("device/folded", {1, size, size, 3}, DType::f64, 0.05);  // all boxes are large
  for (std::int64_t i = 2; i < folded.numel(); i += 3) folded.mutable_data<double>()[i] += 1;
  both(folded, 1e-12);
  for (float bad : {nan, inf, -inf, 0.0f, -1.0f, 1e-30f}) {
    Tensor points = unproject(Tensor::full({1, 8, 8, 1}, 1), camera_of_size(8)).clone();
    points.mutable_data<float>()[(3 * 8 + 3) * 3 + 2] = bad;
    Tensor there = points.to(device).detach().set_requires_grad();
    Tensor seen = rasterize_depth_mesh(there, options_of_size(8));
    CHECK(seen.to_vector<float>()[3 * 8 + 3] == 1.2f);
    const std::vector<float> g = grad({seen}, {there}, {Tensor::full(seen.shape(), 1, DType::f32, device)})[0].to_vector<float>();
    for (float v : g) CHECK(std::isfinite(v));
    CHECK(g[(3 * 8 + 3) * 3 + 2] == 0);
  }
}

TEST_CASE("depth_mesh: on the device, of triangles at the same depth the same one is seen" * doctest::skip(no_test_device())) {
  // Every sample lies exactly on a vertex, or in the middle of a diagonal; powers of two keep all of it exact. The planes of the triangles differ, so
  // the gradient tells which one was taken.
  const std::int64_t size = 6;
  for (double offset : {0.5, 0.0})
    for (bool mirrored : {false, true}) {
      Tensor points = Tensor::empty({1, size, size, 3});
      for (std::int64_t i = 0; i < size * size; ++i) {
        const std::int64_t x = i % size, y = i / size;
        const float bent = (x + y) % 2 ? 1.0f : 0.5f + 0.5f * static_cast<float>(x % 2), rough = 0.5f * static_cast<float>(1 << (3 * y + 5 * x) % 3);
        const float z = offset == 0.0 ? bent : rough;
        float* p = points.mutable_data<float>() + 3 * i;
        p[0] = static_cast<float>(mirrored ? size - 1 - x : x) / 16 * z;
        p[1] = static_cast<float>(y) / 16 * z;
        p[2] = z;
      }
      DepthMeshOptions options;
      options.camera = {16, offset, offset};
      options.supersample = 1;
      options.clamp_lo = 0;
      options.clamp_hi = 1000;
      Tensor here = points.set_requires_grad(), there = points.to(test_device()).detach().set_requires_grad();
      Tensor seen_here = rasterize_depth_mesh(here, options), seen_there = rasterize_depth_mesh(there, options);
      CHECK(same_bits(seen_here.detach(), seen_there.detach().to(Device{})));
      Tensor dy = hashed_input("device/ties", seen_here.shape());
      CHECK(rel_error(grad({seen_there}, {there}, {dy.to(test_device())})[0].to(Device{}), grad({seen_here}, {here}, {dy})[0]) < 1e-5);
    }
}

TEST_CASE("rasterize_depth_mesh names what does not fit") {
  Tensor points = Tensor::zeros({1, 4, 4, 3});
  DepthMeshOptions options = options_of_size(4);
  CHECK_THROWS_WITH_AS(rasterize_depth_mesh(Tensor::zeros({1, 4, 4, 2}), options),
                       "rasterize_depth_mesh: points must be [B,S,S,3] in f32 or f64, got f32 [1,4,4,2]", Error);
  CHECK_THROWS_AS(rasterize_depth_mesh(Tensor::zeros({1, 1, 4, 3}), options), Error);
  options.supersample = 0;
  CHECK_THROWS_AS(rasterize_depth_mesh(points, options), Error);
  options = options_of_size(4);
  options.far = 0.05;
  CHECK_THROWS_AS(rasterize_depth_mesh(points, options), Error);
}
