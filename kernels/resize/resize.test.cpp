#include "kernels/resize/resize.h"

#include <doctest/doctest.h>

#include <limits>

#include "engine/autograd.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

using Resize = Tensor (*)(const Tensor&, std::int64_t, std::int64_t);

Resize resize_named(const std::string& op) {
  if (op == "resize_bilinear") return resize_bilinear;
  if (op == "resize_area") return resize_area;
  if (op == "resize_nearest") return resize_nearest;
  if (op == "resize") return resize;
  fail(Errc::invalid_argument, op, "no such operator");
}

}  // namespace

TEST_CASE("resize") {
  run_cases("resize", [](const Case& c, const std::vector<Tensor>& in) {
    return resize_named(c.op)(in[0], c.integer("height"), c.integer("width"));
  });
}

TEST_CASE("resize keeps a constant picture, and its derivative is its adjoint") {
  for (Resize op : {resize_bilinear, resize_area, resize_nearest})
    for (auto [h, w] : {std::pair{31, 5}, std::pair{3, 67}, std::pair{11, 13}}) {
      Tensor one = op(Tensor::full({1, 11, 13, 9}, 1, DType::f64), h, w);
      CHECK(rel_error(one, Tensor::full(one.shape(), 1, DType::f64)) < 1e-15);
      Tensor x = hashed_input("x", {2, 11, 13, 9}, DType::f64).set_requires_grad();
      Tensor y = op(x, h, w), dy = hashed_input("dy", y.shape(), DType::f64);
      CHECK(dot(grad({y}, {x}, {dy})[0], x) == doctest::Approx(dot(dy, y)).epsilon(1e-12));
    }
}

TEST_CASE("resize to the same size leaves a picture as it is") {
  Tensor x = hashed_input("x", {1, 5, 4, 3});
  CHECK(same_bits(resize(x, 5, 4), x));
  CHECK(same_bits(resize_nearest(x, 5, 4), x));
  CHECK(same_bits(resize_area(x, 5, 4), x));
  CHECK(same_bits(resize_bilinear(x, 5, 4), x));
}

TEST_CASE("resize takes nothing from pixels of weight 0") {
  Tensor x = Tensor::full({1, 4, 4, 16}, 1);
  for (int i = 0; i < 16; ++i) x.mutable_data<float>()[i] = std::numeric_limits<float>::infinity();
  Tensor y = resize_area(x, 2, 2);
  CHECK(y.data<float>()[16] == 1);
  CHECK(y.data<float>()[3 * 16] == 1);
}

TEST_CASE("resize refuses what it cannot do") {
  CHECK_THROWS_WITH_AS(resize_area(Tensor::zeros({1, 2, 2, 3}), 0, 5), "resize_area: cannot resize f32 [1,2,2,3] to 0 x 5", Error);
  CHECK_THROWS_AS(resize_bilinear(Tensor::zeros({2, 2, 3}), 4, 4), Error);
  CHECK_THROWS_AS(resize_nearest(Tensor::zeros({1, 2, 2, 3}, DType::i32), 4, 4), Error);
}
