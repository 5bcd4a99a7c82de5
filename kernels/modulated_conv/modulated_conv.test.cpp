#include "kernels/modulated_conv/modulated_conv.h"

#include <doctest/doctest.h>

#include "engine/autograd.h"
#include "engine/cuda/launches.h"
#include "kernels/bias_act/bias_act.h"
#include "kernels/conv/conv.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

TEST_CASE("modulated_conv") {
  run_cases("modulated_conv", [](const Case& c, const std::vector<Tensor>& in) {
    if (c.op == "demodulation") return demodulation(in[0], in[1]);
    Tensor y = modulated_conv2d(in[0], in[1], in[2], {.upsample = c.boolean("upsample", false)});
    if (!c.boolean("demodulate", false)) return y;
    BiasAct scale;
    scale.scale = demodulation(in[1], in[2]);
    scale.slope = 1;
    return bias_act(y, scale);
  });
}

TEST_CASE("modulated_conv2d and demodulation give the same with a constant weight, the second time too") {
  Tensor x = hashed_input("x", {2, 5, 6, 9}), style = hashed_input("style", {2, 9}), w = hashed_input("w", {7, 3, 3, 9});
  Tensor constant = w.clone();
  constant.set_constant();
  for (int round = 0; round < 2; ++round) {
    CHECK(rel_error(modulated_conv2d(x, constant, style, {.upsample = true}), modulated_conv2d(x, w, style, {.upsample = true})) < 1e-6);
    CHECK(rel_error(modulated_conv2d(x, constant, style), modulated_conv2d(x, w, style)) < 1e-6);
    CHECK(same_bits(demodulation(constant, style), demodulation(w, style)));
  }
}

TEST_CASE("modulated_conv2d_bias_act is bias_act of modulated_conv2d") {
  Tensor x = hashed_input("x", {2, 6, 6, 9}), w = hashed_input("w", {7, 3, 3, 9}), style = hashed_input("style", {2, 9});
  BiasAct act;
  act.bias = hashed_input("bias", {7});
  act.scale = demodulation(w, style);
  for (ModulatedConv options : {ModulatedConv{}, ModulatedConv{.upsample = true}})
    CHECK(same_bits(modulated_conv2d_bias_act(x, w, style, act, options), bias_act(modulated_conv2d(x, w, style, options), act)));
}

TEST_CASE("modulated_conv2d refuses what it cannot do") {
  Tensor x = Tensor::zeros({2, 4, 4, 3}), w = Tensor::zeros({5, 3, 3, 3});
  CHECK_THROWS_WITH_AS(modulated_conv2d(x, w, Tensor::zeros({1, 3})),
                       "modulated_conv2d: x f32 [2,4,4,3] does not fit style f32 [1,3] and w f32 [5,3,3,3]", Error);
  CHECK_THROWS_WITH_AS(demodulation(w, Tensor::zeros({2, 4})), "demodulation: style f32 [2,4] does not fit w f32 [5,3,3,3]", Error);
}

TEST_CASE("modulated_conv: on the device, the style is multiplied where the picture is read" * doctest::skip(no_test_device())) {
  const Device device = test_device();
  auto input = [&](const char* name, const Shape& shape, double offset = 0) {
    return hashed_input(name, shape, DType::f32, 0.5, offset).to(device);
  };
  for (std::int64_t channels : {9, 64}) {
    Tensor x = input("x", {2, 6, 7, channels}), style = input("style", {2, channels}, 1), w = input("w", {12, 3, 3, channels});
    BiasAct act, modulate;
    act.bias = input("bias", {12});
    act.gain = 1.5;
    modulate.scale = style.set_requires_grad();
    modulate.slope = 1;
    const std::vector<Tensor> wanted = {x.set_requires_grad(), style, w.set_requires_grad(), act.bias.set_requires_grad()};
    const Tensor dy = input("dy", {2, 6, 7, 12});
    std::vector<std::vector<Tensor>> results;
    for (bool fused : {true, false}) {
      if (cuda::forget_launches) cuda::forget_launches();
      Tensor y = fused ? modulated_conv2d_bias_act(x, w, style, act) : bias_act(conv2d(bias_act(x, modulate), w, {.pad = 1}), act);
      if (cuda::launches) CHECK((cuda::launches().count("bias_act") == 0) == fused);
      std::vector<Tensor> all = grad({y}, wanted, {dy}, {.create_graph = true});
      for (const Tensor& t : grad({sum(square(all[0])) + sum(square(all[1]))}, {style, w})) all.push_back(t);
      for (const Tensor& t : grad({y}, wanted, {dy})) all.push_back(t);
      all.push_back(y);
      for (Tensor& t : all) t = t.detach().to(Device{});
      results.push_back(all);
    }
    for (std::size_t i = 0; i < results[0].size(); ++i) CHECK(rel_error(results[0][i], results[1][i]) < 1e-5);
  }
}
