// Precision::bf16, with each unit that this machine has forced in turn, against f64 on inputs rounded to bfloat16.
#include <doctest/doctest.h>

#include <cstring>

#include "engine/autograd.h"
#include "engine/precision.h"
#include "kernels/bias_act/bias_act.h"
#include "kernels/conv/conv.h"
#include "kernels/isa.h"
#include "kernels/precision.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/conv_cases.h"
#include "tests/support/skip.h"

using namespace g2s;
using namespace g2s::test;
using kernels::Bf16Unit;

namespace {

// Products of bfloat16 are exact in f32, so that all of the error comes from summing: at most some thousand terms of either sign, whose
// rounding errors of 2^-24 each grow like the square root of their number. An input that is not rounded, or rounded otherwise, shows as 1e-3.
constexpr double tolerance = 2e-6;
constexpr double tolerance_f32 = 5e-6;  // of weight gradients, which stay f32: as in conv.test.cpp

// Calls body(unit) with each of the two units in use, or says that it is missing.
template <class Body>
void with_each_unit(const char* what, Body body) {
  const Bf16Unit before = kernels::bf16_unit();
  for (Bf16Unit unit : {Bf16Unit::vectors, Bf16Unit::tiles}) {
    if (unit > before) {
      skip(str(what, ": this processor has no ", unit == Bf16Unit::tiles ? "AMX" : "AVX512-BF16"));
      continue;
    }
    const WithOverride with("G2S_BF16", to_string(unit));
    CAPTURE(to_string(unit));
    body(unit);
  }
}

// To the nearest bfloat16, ties to even.
Tensor rounded(const Tensor& x) {
  Tensor out = x.to(DType::f32).clone();
  float* v = out.mutable_data<float>();
  for (std::int64_t i = 0; i < out.numel(); ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, v + i, sizeof bits);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
    std::memcpy(v + i, &bits, sizeof bits);
  }
  return out;
}

using Op = std::function<Tensor(const std::vector<Tensor>&)>;

// The output and the gradients to both inputs, for a hashed cotangent.
std::vector<Tensor> evaluate(const Op& op, std::vector<Tensor> in, DType dtype, bool round) {
  for (Tensor& t : in) t = (round ? rounded(t) : t).detach().to(dtype).set_requires_grad();
  Tensor y = op(in), dy = hashed_input("dy", y.shape());
  std::vector<Tensor> all = grad({y}, in, {(round ? rounded(dy) : dy).to(dtype)});
  all.insert(all.begin(), y);
  return all;
}

// `weight_grad`: which of output and gradients is a weight gradient, and so not rounded.
void check_op(const Op& op, const std::vector<Tensor>& in, std::size_t weight_grad) {
  const std::vector<Tensor> exact = evaluate(op, in, DType::f64, true), unrounded = evaluate(op, in, DType::f64, false);
  const WithPrecision bf16(Precision::bf16);
  std::vector<Tensor> first;
  for (int threads : {1, 2, 3, 8}) {
    Threads with(threads);
    const std::vector<Tensor> got = evaluate(op, in, DType::f32, false);
    if (first.empty()) first = got;
    for (std::size_t i = 0; i < got.size(); ++i) CHECK(same_bits(got[i], first[i]));
  }
  for (std::size_t i = 0; i < first.size(); ++i) {
    CAPTURE(i);
    if (i == weight_grad) CHECK(rel_error(first[i].to(DType::f64), unrounded[i]) < tolerance_f32);
    else CHECK(rel_error(first[i].to(DType::f64), exact[i]) < tolerance);
  }
}

}  // namespace

TEST_CASE("conv bf16: every case of the table") {
  with_each_unit("conv bf16", [](Bf16Unit) {
    for (const Case& c : read_cases("conv")) {
      CAPTURE(c.name);
      check_op([&](const std::vector<Tensor>& t) { return run_conv(c, t); }, case_inputs("conv", c, DType::f32), c.op == "conv2d_weight_grad" ? 0 : 2);
    }
  });
}

// Larger shapes: several blocks of tiles, sums in several parts, cut and whole tiles, groups of channels, gathered taps, planes of a stride.
TEST_CASE("conv bf16: larger shapes") {
  struct Shapes {
    Shape x, w;
    ConvOptions options;
  };
  with_each_unit("conv bf16", [](Bf16Unit) {
    for (const Shapes& s : {Shapes{{2, 32, 32, 64}, {96, 3, 3, 64}, {1, 1, 1}}, Shapes{{3, 31, 33, 20}, {36, 3, 3, 20}, {1, 1, 1}},
                            Shapes{{16, 4, 4, 160}, {300, 3, 3, 160}, {1, 1, 1}}, Shapes{{1, 17, 48, 288}, {40, 3, 3, 288}, {1, 1, 1}},
                            Shapes{{3, 32, 32, 64}, {96, 4, 4, 64}, {2, 1, 1}}, Shapes{{2, 64, 64, 3}, {64, 4, 4, 3}, {2, 1, 1}},
                            Shapes{{1, 96, 96, 3}, {16, 1, 1, 3}, {1, 0, 1}}, Shapes{{1, 33, 31, 40}, {24, 5, 5, 40}, {1, 2, 1}}}) {
      CAPTURE(str(s.x, " ", s.w));
      const std::vector<Tensor> in = {hashed_input("x", s.x), hashed_input("w", s.w, DType::f32, 0.3)};
      check_op([&](const std::vector<Tensor>& t) { return conv2d(t[0], t[1], s.options); }, in, 2);
    }
  });
}

TEST_CASE("conv bf16: a constant weight gives the same bits as any other, and f32 its own again") {
  Tensor x = hashed_input("x", {2, 17, 13, 40}), w = hashed_input("w", {70, 3, 3, 40}), kept = w.clone().set_constant();
  const Tensor before = conv2d(x, kept, {1, 1, 1});
  with_each_unit("conv bf16", [&](Bf16Unit) {
    const WithPrecision bf16(Precision::bf16);
    const Tensor y = conv2d(x, w, {1, 1, 1});
    for (int i = 0; i < 2; ++i) CHECK(same_bits(conv2d(x, kept, {1, 1, 1}), y));
    CHECK(rel_error(y, before) > 1e-4);
    CHECK(rel_error(y, before) < 1e-2);
  });
  CHECK(precision() == Precision::f32);
  CHECK(same_bits(conv2d(x, kept, {1, 1, 1}), before));
}

TEST_CASE("conv bf16: bias and activation follow the product") {
  if (kernels::bf16_unit() == Bf16Unit::none) return skip("conv bf16: this processor has neither AVX512-BF16 nor AMX");
  WithPrecision guard(Precision::bf16);
  Tensor x = hashed_input("x", {2, 9, 9, 24}, DType::f32), w = hashed_input("w", {40, 3, 3, 24}, DType::f32);
  BiasAct act;
  act.bias = hashed_input("b", {40}, DType::f32);
  CHECK(same_bits(conv2d_bias_act(x, w, act, {.pad = 1}), bias_act(conv2d(x, w, {.pad = 1}), act)));
}

TEST_CASE("conv bf16: neighbours in a plain background stay equal to the bit") {
  Tensor x = hashed_input("x", {1, 1, 1, 48}), w = hashed_input("w", {33, 3, 3, 48});
  Tensor plain = Tensor::empty({1, 19, 23, 48});
  for (std::int64_t i = 0; i < plain.numel(); ++i) plain.mutable_data<float>()[i] = x.data<float>()[i % 48];
  with_each_unit("conv bf16", [&](Bf16Unit) {
    const WithPrecision bf16(Precision::bf16);
    const Tensor y = conv2d(plain, w);
    int different = 0;
    for (std::int64_t i = 33; i < y.numel(); ++i) different += y.data<float>()[i] != y.data<float>()[i - 33];
    CHECK(different == 0);
  });
}

TEST_CASE("conv bf16: bias, noise and activation on the way out are those of bias_act") {
  struct Shapes {
    Shape x, w;
    ConvOptions options;
  };
  with_each_unit("conv bf16", [](Bf16Unit) {
    const WithPrecision bf16(Precision::bf16);
    const NoGrad no_grad;
    for (const Shapes& s : {Shapes{{2, 17, 33, 40}, {70, 3, 3, 40}, {1, 1, 1}}, Shapes{{3, 4, 4, 40}, {32, 3, 3, 40}, {1, 1, 1}},
                            Shapes{{2, 32, 32, 3}, {16, 4, 4, 3}, {2, 1, 1}}}) {
      const Tensor x = hashed_input("x", s.x), w = hashed_input("w", s.w), y = conv2d(x, w, s.options);
      BiasAct act;
      act.scale = hashed_input("scale", {s.x[0], s.w[0]});
      act.bias = hashed_input("bias", {s.w[0]});
      act.noise = hashed_input("noise", {s.x[0], y.dim(1), y.dim(2), 1});
      act.noise_weight = hashed_input("noise_weight", {1});
      act.gain = 1.4;
      CHECK(rel_error(conv2d_bias_act(x, w, act, s.options), bias_act(y, act)) < 1e-6);
    }
  });
}

TEST_CASE("conv bf16: a machine without a unit is told so") {
  {
    const WithOverride none("G2S_BF16", "none");
    CHECK_THROWS_WITH_AS(precision_for("bf16"), "--precision: this processor has neither AVX512-BF16 nor AMX, which bf16 needs", Error);
    CHECK(precision() == Precision::f32);
    const WithPrecision bf16(Precision::bf16);
    CHECK_THROWS_AS(conv2d(Tensor::zeros({1, 4, 4, 3}), Tensor::zeros({2, 3, 3, 3})), Error);
  }
  CHECK_THROWS_WITH_AS(precision_for("tf32"), "--precision: tf32 is for CUDA devices; the CPU has f32 and bf16", Error);
  CHECK_THROWS_WITH_AS(precision_for("f16"), "--precision: 'f16' is none of f32, tf32, bf16", Error);
}
