#include "kernels/group_norm/group_norm.h"

#include <doctest/doctest.h>

#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

TEST_CASE("group_norm") {
  run_cases("group_norm", [](const Case& c, const std::vector<Tensor>& in) {
    return group_norm(in[0], static_cast<int>(c.integer("groups")), in[1], in[2], c.number("eps"), c.number("slope"));
  });
}

TEST_CASE("group_norm is exact when the mean is far larger than the deviation") {
  const Shape shape{1, 33, 31, 16};
  Tensor small = hashed_input("x", shape, DType::f64);
  Tensor x = Tensor::empty(shape);
  for (std::int64_t i = 0; i < x.numel(); ++i) x.mutable_data<float>()[i] = static_cast<float>(4096 + small.data<double>()[i]);
  Tensor one = Tensor::full({16}, 1), zero = Tensor::zeros({16});
  Tensor want = group_norm(x.to(DType::f64), 4, one.to(DType::f64), zero.to(DType::f64));
  // f32 cannot subtract the mean better than its own spacing at 4096 allows.
  CHECK(rel_error(group_norm(x, 4, one, zero), want) < 1e-3);
}

TEST_CASE("group_norm refuses what it cannot do") {
  Tensor x = Tensor::zeros({1, 2, 2, 6}), w = Tensor::zeros({6});
  CHECK_THROWS_WITH_AS(group_norm(x, 4, w, w), "group_norm: 6 channels cannot be split into 4 groups (x f32 [1,2,2,6])", Error);
  CHECK_THROWS_WITH_AS(group_norm(x, 2, w, Tensor::zeros({5})),
                       "group_norm: weight f32 [6] and bias f32 [5] do not fit x f32 [1,2,2,6]", Error);
  CHECK_THROWS_AS(group_norm(x, 2, w, w, 1e-5, -1), Error);
}
