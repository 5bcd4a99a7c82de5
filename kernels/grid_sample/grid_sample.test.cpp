#include "kernels/grid_sample/grid_sample.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "engine/autograd.h"
#include "engine/simt/order.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

TEST_CASE("grid_sample") {
  run_cases("grid_sample", [](const Case& c, const std::vector<Tensor>& in) {
    return grid_sample(in[0], in[1], c.text("mode") == "nearest" ? Sampling::nearest : Sampling::bilinear);
  });
}

TEST_CASE("grid_sample at the pixel centres copies the picture") {
  Tensor x = hashed_input("copy", {1, 5, 9, 3}, DType::f64);
  std::vector<double> positions;
  for (int y = 0; y < 5; ++y)
    for (int i = 0; i < 9; ++i) positions.insert(positions.end(), {i / 4.0 - 1, y / 2.0 - 1});
  Tensor grid = Tensor::from(positions, {1, 5, 9, 2});
  CHECK(rel_error(grid_sample(x, grid), x) < 1e-14);
  CHECK(same_bits(grid_sample(x, grid, Sampling::nearest), x));
}

TEST_CASE("grid_sample and its gradient to x are adjoint") {
  for (Sampling mode : {Sampling::bilinear, Sampling::nearest})
    for (std::int64_t batch : {std::int64_t{1}, std::int64_t{3}}) {
      Tensor x = hashed_input("adjoint/x", {batch, 11, 13, 3}, DType::f64).set_requires_grad();
      Tensor grid = hashed_input("adjoint/grid", {3, 37, 29, 2}, DType::f64, 1.2), dy = hashed_input("adjoint/dy", {3, 37, 29, 3}, DType::f64);
      Tensor y = grid_sample(x, grid, mode);
      Tensor dx = grad({y}, {x}, {dy})[0];
      CHECK(dot(y, dy) == doctest::Approx(dot(x, dx)).epsilon(1e-12));
    }
}

TEST_CASE("halves go to the even pixel") {
  Tensor x = Tensor::from(std::vector<float>{1, 2, 3, 4, 5}, {1, 1, 5, 1});
  Tensor grid = Tensor::from(std::vector<float>{-0.75f, -1, -0.25f, -1, 0.25f, -1, 0.75f, -1}, {1, 1, 4, 2});  // 0.5, 1.5, 2.5, 3.5
  CHECK(grid_sample(x, grid, Sampling::nearest).to_vector<float>() == std::vector<float>{1, 3, 3, 5});
}

TEST_CASE("positions that are no number give NaN, far ones zero") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  Tensor x = Tensor::full({1, 3, 3, 2}, 1).set_requires_grad();
  Tensor grid = Tensor::from(std::vector<float>{nan, 0, 0, inf, -inf, nan, 1e30f, 0, -3e9f, 0.5f, 0, 0}, {1, 1, 6, 2}).set_requires_grad();
  Tensor y = grid_sample(x, grid), nearest = grid_sample(x, grid, Sampling::nearest);
  for (int i = 0; i < 6; ++i) CHECK(std::isnan(y.data<float>()[2 * i]) == (i < 3));
  for (int i = 3; i < 5; ++i) CHECK(y.data<float>()[2 * i] == 0);
  CHECK(y.data<float>()[10] == 1);
  CHECK(nearest.to_vector<float>() == std::vector<float>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1});
  std::vector<Tensor> g = grad({y}, {x, grid}, {Tensor::full(y.shape(), 1)});
  CHECK(std::isfinite(norm(g[0])));
  for (int i = 0; i < 6; ++i) CHECK(std::isnan(g[1].data<float>()[2 * i]) == (i < 3));
}

TEST_CASE("a pixel outside never mixes in, whatever the picture holds") {
  Tensor x = Tensor::full({1, 3, 3, 1}, 2);
  x.mutable_data<float>()[0] = std::numeric_limits<float>::quiet_NaN();
  Tensor grid = Tensor::from(std::vector<float>{1.25f, 1.25f}, {1, 1, 1, 2}).set_requires_grad();
  Tensor y = grid_sample(x, grid);
  CHECK(y.item() == doctest::Approx(2 * 0.75 * 0.75));
  CHECK(std::isfinite(norm(grad({y}, {grid}, {Tensor::full(y.shape(), 1)})[0])));
}

TEST_CASE("grid_sample: on the device" * doctest::skip(no_test_device())) {
  const Device device = test_device();
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  Tensor grid = Tensor::from(std::vector<float>{nan, 0, 0, inf, -inf, nan, 1e30f, 0, -3e9f, 0.5f, 0, 0, -0.5f, 0.5f, 1.25f, 1.25f}, {1, 1, 8, 2});
  Tensor x = hashed_input("device/x", {1, 3, 3, 2}), crowded = hashed_input("device/crowded", {2, 61, 40, 2}, DType::f32, 0.02, 0.4);
  auto all = [](const Tensor& image, const Tensor& at, Sampling mode, Device where) {
    Tensor a = image.to(where).detach().set_requires_grad(), g = at.to(where).detach().set_requires_grad();
    Tensor y = grid_sample(a, g, mode);
    std::vector<Tensor> out = grad({y}, {a, g}, {hashed_input("device/dy", y.shape()).to(where)});
    out.push_back(y.detach());
    for (Tensor& t : out) t = t.to(Device{});
    return out;
  };
  for (Sampling mode : {Sampling::bilinear, Sampling::nearest})
    for (const Tensor& at : {grid, crowded}) {  // a list of thousands, in which positions that touch nothing are none
      const std::vector<Tensor> here = all(x, at, mode, Device{}), there = all(x, at, mode, device);
      for (std::size_t k = 0; k < here.size(); ++k)
        for (std::int64_t i = 0; i < here[k].numel(); ++i) {
          const float want = here[k].data<float>()[i], got = there[k].data<float>()[i];
          if (!(std::isnan(want) && std::isnan(got))) REQUIRE(got == doctest::Approx(want).epsilon(1e-4));
        }
    }
  CHECK_THROWS_AS(grid_sample(x.to(device), grid), Error);
}

// More positions in one cell than are added at once, most of them not in the neighbourhood of one another.
TEST_CASE("grid_sample: on the device, a grid that is folded into one cell" * doctest::skip(no_test_device())) {
  for (DType dtype : {DType::f32, DType::f64})
    for (Sampling mode : {Sampling::bilinear, Sampling::nearest}) {
      const Tensor x = hashed_input("folded/x", {1, 4, 4, 3}, dtype), dy = hashed_input("folded/dy", {2, 90, 91, 3}, dtype);
      Tensor grid = hashed_input("folded/grid", {2, 90, 91, 2}, dtype, 0.1, 0.15);
      const auto gradient = [&](Device device) {
        Tensor on = x.to(device).detach().set_requires_grad();
        return grad({grid_sample(on, grid.to(device), mode)}, {on}, {dy.to(device)})[0].to(Device{});
      };
      const Tensor got = gradient(test_device());
      CHECK(rel_error(got, gradient(Device{})) < (dtype == DType::f32 ? 1e-5 : 1e-13));
      if (!simt::set_order) continue;
      for (simt::Order order : {simt::Order::reverse, simt::Order::shuffle}) {
        simt::set_order(order);
        CHECK(same_bits(gradient(test_device()), got));
        simt::set_order(simt::Order::forward);
      }
    }
}

TEST_CASE("grid_sample names what does not fit") {
  CHECK_THROWS_WITH_AS(grid_sample(Tensor::zeros({2, 4, 4, 3}), Tensor::zeros({3, 4, 4, 2})),
                       "grid_sample: needs x [B or 1,H,W,C] and grid [B,h,w,2], both f32 or both f64, got x f32 [2,4,4,3], grid f32 [3,4,4,2]", Error);
  CHECK_THROWS_AS(grid_sample(Tensor::zeros({1, 4, 4, 3}), Tensor::zeros({1, 4, 4, 2}, DType::f64)), Error);
  CHECK_THROWS_AS(grid_sample(Tensor::zeros({1, 0, 4, 3}), Tensor::zeros({1, 4, 4, 2})), Error);
}
