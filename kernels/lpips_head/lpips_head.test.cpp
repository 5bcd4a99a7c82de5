#include "kernels/lpips_head/lpips_head.h"

#include <doctest/doctest.h>

#include <cmath>

#include "engine/autograd.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

void check_zero_features(Device device) {
  for (DType dtype : {DType::f32, DType::f64}) {
    Tensor a = Tensor::zeros({1, 1, 2, 4}, dtype), b = Tensor::full({1, 1, 2, 4}, 1, dtype), head = Tensor::full({4}, 0.5, dtype);
    if (dtype == DType::f32) a.mutable_data<float>()[4] = 2;
    else a.mutable_data<double>()[4] = 2;
    a = a.to(device).set_requires_grad();
    b = b.to(device);
    head = head.to(device);
    Tensor d = lpips_head(a, b, head);
    // The zero pixel: |0 - b / |b||^2 = 1; the other: (1 - 1/2)^2 + 3/4 = 1; each times 1/2.
    CHECK(d.item() / 1 == doctest::Approx(0.5));
    Tensor da = grad({d}, {a}, {Tensor::full({1}, 1, dtype, device)})[0].to(Device{}).to(DType::f64);
    for (int i = 0; i < 4; ++i) CHECK(da.data<double>()[i] == 0);
    for (int i = 4; i < 8; ++i) CHECK(std::isfinite(da.data<double>()[i]));
    CHECK(da.data<double>()[5] < 0);
  }
}

}  // namespace

TEST_CASE("lpips_head") {
  run_cases("lpips_head", [](const Case&, const std::vector<Tensor>& in) { return lpips_head(in[0], in[1], in[2]); });
}

TEST_CASE("lpips_head gives 0 as gradient where all features are 0") { check_zero_features(Device{}); }

TEST_CASE("lpips_head: on the device" * doctest::skip(no_test_device())) { check_zero_features(test_device()); }

TEST_CASE("lpips_head refuses what it cannot do") {
  Tensor a = Tensor::zeros({1, 2, 2, 6});
  CHECK_THROWS_WITH_AS(lpips_head(a, Tensor::zeros({1, 2, 3, 6}), Tensor::zeros({6})),
                       "lpips_head: a and b must be the same [B,H,W,C], not empty, got f32 [1,2,2,6] and f32 [1,2,3,6]", Error);
  CHECK_THROWS_WITH_AS(lpips_head(a, a, Tensor::zeros({5})), "lpips_head: head f32 [5] does not fit features f32 [1,2,2,6]", Error);
}
