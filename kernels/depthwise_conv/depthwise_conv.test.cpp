#include "kernels/depthwise_conv/depthwise_conv.h"

#include <doctest/doctest.h>

#include "engine/autograd.h"
#include "engine/precision.h"
#include "kernels/conv/conv.h"
#include "kernels/elementwise/elementwise.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/style_gradients.h"

using namespace g2s;
using namespace g2s::test;

TEST_CASE("depthwise_conv") {
  run_cases("depthwise_conv", [](const Case& c, const std::vector<Tensor>& in) {
    if (c.op == "depthwise_conv2d_modulated") return depthwise_conv2d_modulated(in[0], in[1], in[2]);
    if (c.op == "depthwise_conv_transpose2d") return depthwise_conv_transpose2d(in[0], in[1]);
    if (c.op == "depthwise_conv2d_weight_grad") return depthwise_conv2d_weight_grad(in[0], in[1]);
    return depthwise_conv2d(in[0], in[1]);
  });
}

TEST_CASE("depthwise_conv2d is conv2d with a weight that is zero between channels") {
  const std::int64_t channels = 21;
  Tensor x = hashed_input("x", {2, 9, 10, channels}, DType::f64), w = hashed_input("w", {3, 3, channels}, DType::f64);
  Tensor dense = Tensor::zeros({channels, 3, 3, channels}, DType::f64);
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t tap = 0; tap < 9; ++tap)
      dense.mutable_data<double>()[(c * 9 + tap) * channels + c] = w.data<double>()[tap * channels + c];
  CHECK(rel_error(depthwise_conv2d(x, w), conv2d(x, dense, {.pad = 1})) < 1e-14);
  CHECK(rel_error(depthwise_conv_transpose2d(x, w), conv_transpose2d(x, dense, {.pad = 1})) < 1e-14);
}

TEST_CASE("depthwise_conv: the three are each other's adjoints") {
  Tensor x = hashed_input("x", {2, 7, 9, 18}, DType::f64), y = hashed_input("y", x.shape(), DType::f64),
         w = hashed_input("w", {3, 3, 18}, DType::f64);
  const double want = dot(depthwise_conv2d(x, w), y);
  CHECK(dot(x, depthwise_conv_transpose2d(y, w)) == doctest::Approx(want).epsilon(1e-12));
  CHECK(dot(w, depthwise_conv2d_weight_grad(x, y)) == doctest::Approx(want).epsilon(1e-12));
}

// The table's gradients come from differentiable operators where its second derivatives are wanted: here from the kernel, without a graph.
TEST_CASE("depthwise_conv2d_modulated has the gradients of style * x, with a graph and without") {
  for (const Shape& shape : {Shape{2, 6, 7, 5}, Shape{3, 17, 13, 68}, Shape{1, 40, 41, 32}}) {
    CAPTURE(str(shape));
    Tensor x = hashed_input("x", shape).set_requires_grad(), w = hashed_input("w", {3, 3, shape[3]});
    Tensor style = hashed_input("style", {shape[0], shape[3]}, DType::f32, 0.5, 1).set_requires_grad();
    Tensor y = depthwise_conv2d_modulated(x, style, w);
    Tensor composed = depthwise_conv2d(x * style.reshape({shape[0], 1, 1, shape[3]}), w);
    check_style_gradients(y, composed, x, style);
  }
}

TEST_CASE("depthwise_conv2d has the same bits at every precision") {
  Tensor x = hashed_input("x", {1, 8, 8, 32}), w = hashed_input("w", {3, 3, 32});
  const Tensor want = depthwise_conv2d(x, w);
  const WithPrecision with(Precision::bf16);
  CHECK(same_bits(depthwise_conv2d(x, w), want));
}

TEST_CASE("depthwise_conv: on the device, tensors of the CPU stay where they are" * doctest::skip(no_test_device())) {
  const DefaultDevice guard(test_device());
  auto cpu = [](const char* name, const Shape& shape) { return hashed_input(name, shape).to(Device{}).set_requires_grad(); };
  Tensor x = cpu("x", {1, 4, 5, 6}), style = cpu("style", {1, 6}), w = cpu("w", {3, 3, 6});
  const Tensor y = depthwise_conv2d_modulated(x, style, w);
  const std::vector<Tensor> d = grad({y}, {x, style}, {cpu("dy", y.shape()).detach()});
  for (const Tensor& t : {y, d[0], d[1]}) CHECK(t.device() == Device{});
}

TEST_CASE("depthwise_conv of nothing") {
  CHECK(depthwise_conv2d(Tensor::zeros({0, 4, 4, 3}), Tensor::zeros({3, 3, 3})).shape() == Shape{0, 4, 4, 3});
  CHECK(norm(depthwise_conv2d_weight_grad(Tensor::zeros({0, 4, 4, 3}), Tensor::zeros({0, 4, 4, 3}))) == 0);
}

TEST_CASE("depthwise_conv refuses what it cannot do") {
  Tensor x = Tensor::zeros({2, 4, 4, 3}), w = Tensor::zeros({3, 3, 3});
  CHECK_THROWS_WITH_AS(depthwise_conv2d(x, Tensor::zeros({3, 3, 4})), "depthwise_conv2d: w f32 [3,3,4] does not fit x f32 [2,4,4,3]",
                       Error);
  CHECK_THROWS_WITH_AS(depthwise_conv2d(Tensor::zeros({4, 4, 3}), w), "depthwise_conv2d: x must be [B,H,W,C], got f32 [4,4,3]", Error);
  CHECK_THROWS_WITH_AS(depthwise_conv2d_modulated(x, Tensor::zeros({1, 3}), w),
                       "depthwise_conv2d_modulated: style f32 [1,3] does not fit x f32 [2,4,4,3]", Error);
  CHECK_THROWS_WITH_AS(depthwise_conv2d_weight_grad(x, Tensor::zeros({2, 4, 5, 3})),
                       "depthwise_conv2d_weight_grad: dy f32 [2,4,5,3] does not fit x f32 [2,4,4,3]", Error);
  CHECK_THROWS_AS(depthwise_conv2d(x, w.to(DType::f64)), Error);
  CHECK_THROWS_AS(depthwise_conv_transpose2d(Tensor::zeros({2, 4, 4, 3}, DType::u8), w), Error);
  CHECK_THROWS_AS(depthwise_conv2d(x, Tensor{}), Error);
}
