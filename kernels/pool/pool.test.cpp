#include "kernels/pool/pool.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "engine/autograd.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

TEST_CASE("pool") {
  run_cases("pool", [](const Case& c, const std::vector<Tensor>& in) {
    if (c.op == "avg_pool2d") return avg_pool2d(in[0], static_cast<int>(c.integer("k")));
    return max_pool2d(in[0], static_cast<int>(c.integer("k")), static_cast<int>(c.integer("stride")), c.boolean("ceil", false));
  });
}

TEST_CASE("max_pool2d gives a NaN on") {
  Tensor x = Tensor::zeros({1, 2, 4, 1});
  x.mutable_data<float>()[1] = std::numeric_limits<float>::quiet_NaN();
  Tensor y = max_pool2d(x, 2, 2);
  CHECK(std::isnan(y.data<float>()[0]));
  CHECK(y.data<float>()[1] == 0);
}

TEST_CASE("max_pool2d has no second derivative, and says so") {
  Tensor x = hashed_input("x", {1, 4, 4, 2}).set_requires_grad();
  Tensor y = max_pool2d(x, 2, 2), dy = hashed_input("dy", y.shape()).set_requires_grad();
  Tensor dx = grad({y}, {x}, {dy}, {.create_graph = true})[0];
  CHECK_THROWS_WITH_AS(grad({dx}, {dy}, {dx.detach()}), "max_pool2d: has no second derivative", Error);
}

TEST_CASE("pool refuses what it cannot do") {
  CHECK_THROWS_WITH_AS(avg_pool2d(Tensor::zeros({1, 4, 5, 3}), 2),
                       "avg_pool2d: x must be [B,H,W,C] with H and W multiples of 2, got f32 [1,4,5,3]", Error);
  CHECK_THROWS_AS(max_pool2d(Tensor::zeros({1, 1, 5, 3}), 2, 2), Error);
  CHECK_THROWS_AS(max_pool2d(Tensor::zeros({1, 4, 5, 3}), 17, 2), Error);
  CHECK_THROWS_AS(max_pool2d(Tensor::zeros({1, 4, 5, 3}), 2, 0), Error);
}
