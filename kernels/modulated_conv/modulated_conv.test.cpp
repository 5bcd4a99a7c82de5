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
#include "tests/support/cuda_paths.h"

using namespace g2s;
using namespace g2s::test;

TEST_CASE("modulated_conv") {
  run_cases("modulated_conv", [](const Case& c, const std::vector<Tensor>& in) {
    if (c.op == "demodulation") return demodulation(in[0], in[1]);
    const bool up = c.boolean("upsample", false), down = c.boolean("downsample", false);
    Tensor y = modulated_conv2d(in[0], in[1], in[2], {.upsample = up, .downsample = down});
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
  for (ModulatedConv options : {ModulatedConv{}, ModulatedConv{.upsample = true}, ModulatedConv{.downsample = true}})
    CHECK(same_bits(modulated_conv2d_bias_act(x, w, style, act, options), bias_act(modulated_conv2d(x, w, style, options), act)));
}

namespace {

// y, dx, dstyle, and the derivative of their squares to both, of an upsampling with a constant weight.
std::vector<Tensor> upsample(const Shape& shape, std::int64_t outputs, DType dtype, Device device, bool fold) {
  const ForcedCudaConv forced(fold ? "polyphase" : nullptr);
  const auto input = [&](const char* name, const Shape& s, double offset = 0) { return hashed_input(name, s, dtype, 0.5, offset).to(device); };
  Tensor x = input("x", shape).set_requires_grad(), style = input("style", {shape[0], shape[3]}, 1).set_requires_grad();
  const Tensor w = input("w", {outputs, 3, 3, shape[3]}).set_constant();
  const Tensor y = modulated_conv2d(x, w, style, {.upsample = true});
  std::vector<Tensor> all = grad({y}, {x, style}, {input("dy", y.shape())}, {.create_graph = true});
  for (const Tensor& t : grad({sum(square(all[0])) + sum(square(all[1]))}, {x, style})) all.push_back(t);
  all.push_back(y);
  for (Tensor& t : all) t = t.detach().to(Device{});
  return all;
}

}  // namespace

TEST_CASE("modulated_conv: the blur folded into the weight is the blur behind the convolution") {
  for (const auto& [dtype, tolerance] : {std::pair{DType::f64, 1e-13}, std::pair{DType::f32, 2e-6}})
    for (const Shape& shape : {Shape{2, 5, 6, 9}, Shape{1, 1, 1, 4}, Shape{1, 8, 3, 20}}) {
      const std::vector<Tensor> two = upsample(shape, 7, dtype, {}, false), one = upsample(shape, 7, dtype, {}, true);
      CHECK_FALSE(same_bits(one.back(), two.back()));
      for (std::size_t i = 0; i < two.size(); ++i) CHECK(rel_error(one[i], two[i]) < tolerance);
    }
}

TEST_CASE("modulated_conv: on the device, the blur folded into the weight" * doctest::skip(no_test_device())) {
  for (const auto& [dtype, tolerance] : {std::pair{DType::f64, 1e-13}, std::pair{DType::f32, 2e-6}})
    for (const Shape& shape : {Shape{2, 5, 6, 9}, Shape{1, 1, 1, 4}, Shape{1, 6, 5, 20}}) {
      const std::vector<Tensor> want = upsample(shape, 8, dtype, {}, false);
      const std::vector<Tensor> got = upsample(shape, 8, dtype, test_device(), true);
      CHECK_FALSE(same_bits(got.back(), upsample(shape, 8, dtype, test_device(), false).back()));
      for (std::size_t i = 0; i < want.size(); ++i) CHECK(rel_error(got[i], want[i]) < tolerance);
    }
}

TEST_CASE("modulated_conv2d refuses what it cannot do") {
  Tensor x = Tensor::zeros({2, 4, 4, 3}), w = Tensor::zeros({5, 3, 3, 3}), style = Tensor::zeros({2, 3});
  CHECK_THROWS_WITH_AS(modulated_conv2d(x, w, Tensor::zeros({1, 3})),
                       "modulated_conv2d: x f32 [2,4,4,3] does not fit style f32 [1,3] and w f32 [5,3,3,3]", Error);
  CHECK_THROWS_WITH_AS(demodulation(w, Tensor::zeros({2, 4})), "demodulation: style f32 [2,4] does not fit w f32 [5,3,3,3]", Error);
  CHECK_THROWS_WITH_AS(modulated_conv2d(x, w, style, {.upsample = true, .downsample = true}),
                       "modulated_conv2d: cannot both upsample and downsample", Error);
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
