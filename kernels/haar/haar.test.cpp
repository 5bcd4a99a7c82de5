#include "kernels/haar/haar.h"

#include <doctest/doctest.h>

#include "engine/autograd.h"
#include "kernels/elementwise/elementwise.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/style_gradients.h"

using namespace g2s;
using namespace g2s::test;

TEST_CASE("haar") {
  run_cases("haar", [](const Case& c, const std::vector<Tensor>& in) {
    if (c.op == "haar_analysis") return haar_analysis(in[0]);
    return c.op == "haar_synthesis" ? haar_synthesis(in[0]) : haar_synthesis_modulated(in[0], in[1]);
  });
}

TEST_CASE("haar: by hand") {
  Tensor x = Tensor::zeros({1, 1, 1, 8});  // lo of two channels, then lh, hl, hh of the first and of the second
  const float bands[8] = {10, 20, 1, 2, 4, 3, 5, 7};
  std::copy(bands, bands + 8, x.mutable_data<float>());
  const Tensor y = haar_synthesis(x);
  REQUIRE(y.shape() == Shape{1, 2, 2, 2});
  const float want[8] = {8.5f, 17.5f, 2.5f, 5.5f, 3.5f, 7.5f, 5.5f, 9.5f};
  for (int i = 0; i < 8; ++i) CHECK(y.data<float>()[i] == want[i]);
}

TEST_CASE("haar is orthogonal: the analysis is the inverse and the adjoint") {
  for (std::int64_t channels : {3, 16, 37}) {
    Tensor x = hashed_input("x", {2, 5, 6, 4 * channels}, DType::f64), y = hashed_input("y", {2, 10, 12, channels}, DType::f64);
    CHECK(rel_error(haar_analysis(haar_synthesis(x)), x) < 1e-14);
    CHECK(rel_error(haar_synthesis(haar_analysis(y)), y) < 1e-14);
    CHECK(dot(haar_synthesis(x), y) == doctest::Approx(dot(x, haar_analysis(y))).epsilon(1e-12));
  }
}

// The table's gradients come from differentiable operators where its second derivatives are wanted: here from the kernel, without a graph.
TEST_CASE("haar_synthesis_modulated has the gradients of style * x, with a graph and without") {
  for (const Shape& shape : {Shape{2, 6, 7, 12}, Shape{3, 17, 13, 148}, Shape{1, 40, 41, 64}}) {
    CAPTURE(str(shape));
    Tensor x = hashed_input("x", shape).set_requires_grad();
    Tensor style = hashed_input("style", {shape[0], shape[3]}, DType::f32, 0.5, 1).set_requires_grad();
    Tensor y = haar_synthesis_modulated(x, style), composed = haar_synthesis(x * style.reshape({shape[0], 1, 1, shape[3]}));
    check_style_gradients(y, composed, x, style);
  }
}

TEST_CASE("haar: on the device, tensors of the CPU stay where they are" * doctest::skip(no_test_device())) {
  const DefaultDevice guard(test_device());
  auto cpu = [](const char* name, const Shape& shape) { return hashed_input(name, shape).to(Device{}).set_requires_grad(); };
  Tensor x = cpu("x", {1, 4, 5, 8}), style = cpu("style", {1, 8});
  const Tensor y = haar_synthesis_modulated(x, style);
  const std::vector<Tensor> d = grad({y}, {x, style}, {cpu("dy", y.shape()).detach()});
  for (const Tensor& t : {y, d[0], d[1]}) CHECK(t.device() == Device{});
}

TEST_CASE("haar refuses what it cannot do") {
  CHECK_THROWS_WITH_AS(haar_synthesis(Tensor::zeros({2, 4, 4, 6})), "haar_synthesis: x must be [B,H,W,4C], got f32 [2,4,4,6]", Error);
  CHECK_THROWS_WITH_AS(haar_analysis(Tensor::zeros({2, 4, 5, 6})), "haar_analysis: y must have even sizes, got f32 [2,4,5,6]", Error);
  CHECK_THROWS_WITH_AS(haar_synthesis_modulated(Tensor::zeros({2, 4, 4, 8}), Tensor::zeros({2, 2})),
                       "haar_synthesis_modulated: style f32 [2,2] does not fit x f32 [2,4,4,8]", Error);
  CHECK_THROWS_AS(haar_synthesis(Tensor::zeros({4, 4, 8})), Error);
  CHECK_THROWS_AS(haar_synthesis(Tensor::zeros({1, 4, 4, 8}, DType::u8)), Error);
  CHECK_THROWS_AS(haar_synthesis(Tensor{}), Error);
}
