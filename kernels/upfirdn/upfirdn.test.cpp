#include "kernels/upfirdn/upfirdn.h"

#include <doctest/doctest.h>

#include "engine/autograd.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

FirPad pad_of(const Case& c) {
  auto pad = c.has("pad") ? c.integers("pad") : std::vector<std::int64_t>(4);
  return {static_cast<int>(pad[0]), static_cast<int>(pad[1]), static_cast<int>(pad[2]), static_cast<int>(pad[3])};
}

}  // namespace

TEST_CASE("upfirdn") {
  run_cases("upfirdn", [](const Case& c, const std::vector<Tensor>& in) {
    const int up = static_cast<int>(c.integer("up", 1)), down = static_cast<int>(c.integer("down", 1));
    return upfirdn2d(in[0], c.numbers("taps"), c.number("gain", 1), up, down, pad_of(c));
  });
}

TEST_CASE("upfirdn keeps a constant picture, up and down") {
  Tensor x = Tensor::full({1, 8, 8, 3}, 0.75, DType::f64);
  Tensor up = upfirdn2d(x, fir_1331(), 4, 2, 1, {2, 1, 2, 1});
  REQUIRE(up.shape() == Shape{1, 16, 16, 3});
  CHECK(up.data<double>()[(8 * 16 + 8) * 3] == doctest::Approx(0.75));
  Tensor down = upfirdn2d(up, fir_1331(), 1, 1, 2, {1, 1, 1, 1});
  REQUIRE(down.shape() == Shape{1, 8, 8, 3});
  CHECK(down.data<double>()[(4 * 8 + 4) * 3] == doctest::Approx(0.75));
}

TEST_CASE("upfirdn's derivative is its adjoint") {
  Tensor x = hashed_input("x", {2, 7, 9, 5}, DType::f64).set_requires_grad();
  Tensor y = upfirdn2d(x, {0.5, -0.2, 0.7}, 1.5, 2, 3, {3, 0, -1, 2});
  Tensor dy = hashed_input("dy", y.shape(), DType::f64);
  Tensor dx = grad({y}, {x}, {dy})[0];
  CHECK(dot(dx, x) == doctest::Approx(dot(dy, y)).epsilon(1e-12));
}

TEST_CASE("upfirdn refuses what it cannot do") {
  Tensor x = Tensor::zeros({1, 2, 2, 3});
  CHECK_THROWS_WITH_AS(upfirdn2d(x, fir_1331(), 1, 1, 1),
                       "upfirdn2d: x f32 [1,2,2,3] with padding [0,0,0,0] and up 1 is smaller than the filter of 4 taps", Error);
  CHECK_THROWS_AS(upfirdn2d(x, {}, 1), Error);
  CHECK_THROWS_AS(upfirdn2d(x, fir_1331(), 1, 0), Error);
  CHECK_THROWS_AS(upfirdn2d(Tensor::zeros({2, 2, 3}), fir_1331()), Error);
}
