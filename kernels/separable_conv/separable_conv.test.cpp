#include "kernels/separable_conv/separable_conv.h"

#include <doctest/doctest.h>

#include "engine/autograd.h"
#include "engine/precision.h"
#include "kernels/conv/conv.h"
#include "kernels/depthwise_conv/depthwise_conv.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/isa.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

struct Layer {
  Tensor x, style, depthwise, pointwise;
  BiasAct act;

  Layer(std::int64_t batch, std::int64_t rows, std::int64_t columns, std::int64_t in, std::int64_t out)
      : x(hashed_input("x", {batch, rows, columns, in}).set_requires_grad()),
        style(hashed_input("style", {batch, in}, DType::f32, 0.5, 1).set_requires_grad()),
        depthwise(hashed_input("depthwise", {3, 3, in})),
        pointwise(hashed_input("pointwise", {out, 1, 1, in}, DType::f32, 0.2)) {
    act.noise = hashed_input("noise", {1, rows, columns, 1});
    act.noise_weight = Tensor::full({1}, 0.5);
    act.bias = hashed_input("bias", {out});
  }
  Tensor fused() const { return separable_conv2d_bias_act(x, style, depthwise, pointwise, act); }
  Tensor composed() const {
    const Tensor styled = x * style.reshape({x.dim(0), 1, 1, x.dim(3)});
    return bias_act(conv2d(depthwise_conv2d(styled, depthwise), pointwise), act);
  }
};

}  // namespace

TEST_CASE("separable_conv") {
  run_cases("separable_conv", [](const Case& c, const std::vector<Tensor>& in) {
    BiasAct act{.noise = in[4], .noise_weight = in[5], .bias = in[6], .slope = c.number("slope"), .gain = c.number("gain")};
    return separable_conv2d_bias_act(in[0], in[1], in[2], in[3], act);
  });
}

// The table's gradients come from differentiable operators where its second derivatives are wanted: here from the kernel, without a graph.
TEST_CASE("separable_conv2d_bias_act is what it is made of, with a graph and without") {
  for (const Layer& l : {Layer(1, 8, 8, 64, 96), Layer(2, 33, 18, 36, 70), Layer(3, 5, 47, 17, 5), Layer(1, 32, 32, 48, 192)}) {
    CAPTURE(str(l.x.shape(), " ", l.pointwise.shape()));
    const Tensor y = l.fused(), composed = l.composed(), dy = hashed_input("dy", y.shape());
    CHECK(rel_error(y, composed) < 1e-6);
    const std::vector<Tensor> inputs = {l.x, l.style}, want = grad({composed}, inputs, {dy});
    CHECK(rel_error(grad({y}, inputs, {dy}, {.retain_graph = true}), want) < 2e-6);
    CHECK(rel_error(grad({y}, {l.x}, {dy}, {.retain_graph = true})[0], want[0]) < 2e-6);
    CHECK(rel_error(grad({y}, {l.style}, {dy}, {.retain_graph = true})[0], want[1]) < 2e-6);
    CHECK(rel_error(grad({y}, inputs, {dy}, {.create_graph = true}), want) < 2e-6);
  }
}

TEST_CASE("separable_conv2d_bias_act with a scale, and at precision bf16, is the composition") {
  Layer l(2, 9, 8, 32, 48);
  const Tensor exact = l.composed();
  if (kernels::bf16_unit() == kernels::Bf16Unit::none) {
    skip("separable_conv: this processor has neither AVX512-BF16 nor AMX");
  } else {
    const WithPrecision with(Precision::bf16);
    const Tensor y = l.fused();
    CHECK(same_bits(y, conv2d_bias_act(depthwise_conv2d_modulated(l.x, l.style, l.depthwise), l.pointwise, l.act)));
    CHECK(rel_error(y, exact) > 1e-5);
    CHECK(rel_error(y, exact) < 1e-2);
  }
  l.act.scale = hashed_input("scale", {2, 48}, DType::f32, 0.5, 1).set_requires_grad();
  const Tensor y = l.fused(), want = l.composed(), dy = hashed_input("dy", y.shape());
  const std::vector<Tensor> inputs = {l.x, l.style, l.act.scale};
  CHECK(rel_error(y, want) < 1e-6);
  CHECK(rel_error(grad({y}, inputs, {dy}), grad({want}, inputs, {dy})) < 2e-6);
}

TEST_CASE("separable_conv2d_bias_act keeps a constant weight's packed form, and repacks another's") {
  Layer l(1, 8, 8, 16, 16);
  Tensor w = l.pointwise.clone();
  l.pointwise = w;
  const Tensor before = l.fused();
  for (std::int64_t i = 0; i < w.numel(); ++i) w.mutable_data<float>()[i] *= 2;
  CHECK(rel_error(l.fused(), before) > 0.1);
  CHECK(rel_error(l.fused(), l.composed()) < 1e-6);
}

TEST_CASE("separable_conv2d_bias_act refuses what it cannot do") {
  const Layer l(2, 4, 4, 3, 5);
  auto with = [&](const Tensor& x, const Tensor& style, const Tensor& depthwise, const Tensor& pointwise, const BiasAct& act) {
    return separable_conv2d_bias_act(x, style, depthwise, pointwise, act);
  };
  CHECK_THROWS_WITH_AS(with(l.x, Tensor::zeros({1, 3}), l.depthwise, l.pointwise, l.act),
                       "separable_conv2d_bias_act: style f32 [1,3] does not fit x f32 [2,4,4,3]", Error);
  CHECK_THROWS_WITH_AS(with(l.x, l.style, Tensor::zeros({3, 3, 1, 3}), l.pointwise, l.act),
                       "separable_conv2d_bias_act: depthwise f32 [3,3,1,3] does not fit x f32 [2,4,4,3]", Error);
  CHECK_THROWS_WITH_AS(with(l.x, l.style, l.depthwise, Tensor::zeros({5, 3}), l.act),
                       "separable_conv2d_bias_act: pointwise f32 [5,3] does not fit x f32 [2,4,4,3]", Error);
  CHECK_THROWS_AS(with(l.x, l.style, Tensor{}, l.pointwise, l.act), Error);
  CHECK_THROWS_AS(with(Tensor::zeros({4, 4, 3}), l.style, l.depthwise, l.pointwise, l.act), Error);
  CHECK_THROWS_AS(with(l.x, l.style, l.depthwise, l.pointwise, {.bias = Tensor::zeros({4})}), Error);
}
