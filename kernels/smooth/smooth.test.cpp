#include "kernels/smooth/smooth.h"

#include <doctest/doctest.h>

#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

TEST_CASE("smooth") {
  run_cases("smooth", [](const Case&, const std::vector<Tensor>& in) { return smooth_loss(in[0]); });
}

TEST_CASE("smooth_loss of a plane is 0, of one bump what its second differences say") {
  Tensor x = Tensor::zeros({1, 7, 7, 1}, DType::f64);
  for (int i = 0; i < 49; ++i) x.mutable_data<double>()[i] = 3 * (i / 7) - 2 * (i % 7) + 1;
  CHECK(smooth_loss(x).item() == 0);
  x.mutable_data<double>()[3 * 7 + 3] += 1;
  CHECK(smooth_loss(x).item() == doctest::Approx(4.0 / 35 + 4.0 / 36 + 4.0 / 36 + 4.0 / 35));
}

TEST_CASE("smooth_loss refuses what it cannot do") {
  CHECK_THROWS_WITH_AS(smooth_loss(Tensor::zeros({1, 2, 5, 1})),
                       "smooth_loss: x must be [B,H,W,C] with H, W >= 3 and C <= 256, got f32 [1,2,5,1]", Error);
  CHECK_THROWS_AS(smooth_loss(Tensor::zeros({5, 5})), Error);
  CHECK_THROWS_AS(smooth_loss(Tensor::zeros({1, 5, 5, 1}, DType::i32)), Error);
}
