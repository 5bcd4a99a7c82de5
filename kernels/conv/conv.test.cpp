#include "kernels/conv/conv.h"

#include <doctest/doctest.h>

#include <cstring>

#include "engine/autograd.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/conv_cases.h"
#include "tests/support/conv_paths.h"

using namespace g2s;
using namespace g2s::test;

TEST_CASE("conv: the table of cases, with each path") {
  if (test_device().type != DeviceType::cpu) return run_cases("conv", run_conv);  // paths are the CPU's
  with_each_conv_path([] { run_cases("conv", run_conv); });
}

// Larger shapes than the table's, for which no golden values are kept: each takes another path through the f32 code (6x6 tiles of 3x3 and 5x5
// kernels with whole and cut tiles, shared and own blocks of tiles, partial vectors, cut reductions).
namespace {

struct Shapes {
  Shape x, w;
  ConvOptions options;
};

// y, dx and dw.
std::vector<Tensor> forward_and_gradients(const Shapes& s, DType dtype) {
  Tensor x = hashed_input("x", s.x, dtype), w = hashed_input("w", s.w, dtype, 0.3);
  x.set_requires_grad(), w.set_requires_grad();
  Tensor y = conv2d(x, w, s.options);
  std::vector<Tensor> all = grad({y}, {x, w}, {hashed_input("dy", y.shape(), dtype)});
  all.push_back(y);
  return all;
}

}  // namespace

TEST_CASE("conv: the f32 paths agree with the plain loops") {
  for (const Shapes& s : {Shapes{{2, 16, 16, 32}, {64, 3, 3, 32}, {1, 1, 1}}, Shapes{{1, 31, 33, 20}, {36, 3, 3, 20}, {1, 1, 1}},
                          Shapes{{3, 19, 17, 67}, {70, 3, 3, 67}, {1, 0, 1}}, Shapes{{2, 13, 29, 48}, {16, 3, 3, 48}, {1, 2, 1}},
                          Shapes{{9, 33, 31, 17}, {31, 3, 3, 17}, {1, 1, 1}}, Shapes{{2, 15, 14, 40}, {24, 5, 5, 40}, {1, 2, 1}},
                          Shapes{{1, 31, 9, 33}, {65, 5, 5, 33}, {1, 0, 1}}, Shapes{{16, 4, 4, 128}, {130, 3, 3, 128}, {1, 1, 1}},
                          Shapes{{3, 32, 32, 64}, {96, 4, 4, 64}, {2, 1, 1}}, Shapes{{2, 64, 64, 3}, {64, 4, 4, 3}, {2, 1, 1}},
                          Shapes{{2, 33, 31, 64}, {3, 5, 5, 64}, {1, 2, 1}}, Shapes{{3, 41, 40, 24}, {1, 1, 1, 24}, {1, 0, 1}},
                          Shapes{{1, 96, 96, 3}, {16, 1, 1, 3}, {1, 0, 1}}}) {
    CAPTURE(str(s.x, " ", s.w));
    const std::vector<Tensor> want = forward_and_gradients(s, DType::f64);
    with_each_conv_path([&] {
      std::vector<Tensor> one;
      for (int threads : {1, 2, 3, 8}) {
        Threads with(threads);
        const std::vector<Tensor> got = forward_and_gradients(s, DType::f32);
        if (one.empty()) one = got;
        for (std::size_t i = 0; i < 3; ++i) {
          CHECK(rel_error(got[i].to(DType::f64), want[i]) < 5e-6);
          CHECK(same_bits(got[i], one[i]));
        }
      }
    });
  }
}

// The composition is tested by itself; one pass must give the same bits, derivatives included.
TEST_CASE("conv2d_bias_act is bias_act of conv2d, with each path") {
  for (const Shapes& s : {Shapes{{2, 17, 13, 20}, {70, 3, 3, 20}, {1, 1, 1}}, Shapes{{1, 9, 11, 33}, {19, 5, 5, 33}, {1, 2, 1}},
                          Shapes{{3, 16, 16, 24}, {3, 1, 1, 24}, {1, 0, 1}}, Shapes{{2, 13, 13, 130}, {66, 3, 3, 130}, {2, 0, 1}},
                          Shapes{{2, 4, 4, 3}, {5, 3, 3, 3}, {1, 1, 1}}}) {
    Tensor x = hashed_input("x", s.x).set_requires_grad(), w = hashed_input("w", s.w, DType::f32, 0.3).set_requires_grad();
    BiasAct act;
    act.bias = hashed_input("bias", {s.w[0]}).set_requires_grad();
    act.gain = 1.5;
    CAPTURE(str(s.x, " ", s.w));
    with_each_conv_path([&] {
      const std::vector<Tensor> inputs = {x, w, act.bias};
      std::vector<std::vector<Tensor>> results;
      for (bool one_pass : {true, false}) {
        Tensor y = one_pass ? conv2d_bias_act(x, w, act, s.options) : bias_act(conv2d(x, w, s.options), act);
        std::vector<Tensor> all = grad({y}, inputs, {hashed_input("dy", y.shape())}, {.create_graph = true});
        Tensor second = sum(square(all[0]));
        for (const Tensor& t : grad({second}, {w})) all.push_back(t);
        all.push_back(y);
        results.push_back(all);
      }
      for (std::size_t i = 0; i < results[0].size(); ++i) CHECK(same_bits(results[0][i], results[1][i]));
    });
  }
}

TEST_CASE("conv2d_bias_act with scale and noise, with each path") {
  Tensor x = hashed_input("x", {2, 14, 15, 36}), w = hashed_input("w", {40, 3, 3, 36}, DType::f32, 0.3);
  for (std::int64_t maps : {1, 2}) {
    BiasAct act;
    act.scale = hashed_input("scale", {2, 40}, DType::f32, 0.5, 1);
    act.noise = hashed_input("noise", {maps, 14, 15, 1});
    act.noise_weight = hashed_input("weight", {1}).set_requires_grad();
    act.bias = hashed_input("bias", {40});
    with_each_conv_path([&] {
      const Tensor want = bias_act(conv2d(x, w, {1, 1, 1}), act);
      {
        NoGrad no_grad;
        CHECK(same_bits(conv2d_bias_act(x, w, act, {1, 1, 1}), want));
      }
      Tensor y = conv2d_bias_act(x, w, act, {1, 1, 1}), dy = hashed_input("dy", y.shape());
      CHECK(same_bits(grad({y}, {act.noise_weight}, {dy})[0], grad({want}, {act.noise_weight}, {dy})[0]));
    });
  }
  BiasAct wrong;
  wrong.bias = Tensor::zeros({3});
  CHECK_THROWS_WITH_AS(conv2d_bias_act(x, w, wrong), "bias_act: bias f32 [3] does not fit x f32 [2,12,13,40]", Error);
}

TEST_CASE("conv: a forced path is taken where it is possible") {
  Tensor x = hashed_input("x", {1, 12, 12, 32}), w = hashed_input("w", {32, 3, 3, 32}), w5 = hashed_input("w", {32, 5, 5, 32});
  std::vector<Tensor> three, five;
  for (kernels::ConvPath path : {kernels::ConvPath::direct, kernels::ConvPath::winograd6, kernels::ConvPath::winograd4}) {
    ForcedConvPath forced(path);
    three.push_back(conv2d(x, w, {1, 1, 1}));
    five.push_back(conv2d(x, w5, {1, 2, 1}));
  }
  CHECK_FALSE(same_bits(three[0], three[1]));
  CHECK_FALSE(same_bits(three[0], three[2]));
  CHECK_FALSE(same_bits(three[1], three[2]));
  CHECK_FALSE(same_bits(five[0], five[1]));
  CHECK_FALSE(kernels::possible(kernels::ConvPath::winograd4, {5, 1, 12, 12, 32, 32, false}));
}

TEST_CASE("conv: the table of paths is in order, and it is what is taken") {
  using namespace g2s::kernels;
  ForcedConvPath none(std::nullopt);
  REQUIRE(conv_table_end() - conv_table_begin() > 100);
  int of_this_machine = 0;
  for (const ConvTableRow* r = conv_table_begin(); r != conv_table_end(); ++r) {
    CHECK(possible(r->path, r->problem));
    if (r + 1 != conv_table_end()) CHECK((r->isa != r[1].isa ? r->isa < r[1].isa : r->problem < r[1].problem));
    if (r->isa != isa()) continue;
    ++of_this_machine;
    CHECK(choose_conv_path(r->problem) == r->path);
  }
  if (isa() != Isa::base) CHECK(of_this_machine > 30);
  const ConvProblem unknown{3, 3, 77, 78, 40, 41, true}, few{3, 1, 64, 64, 3, 64, true};
  CHECK(choose_conv_path(unknown) == conv_path_by_rule(unknown));
  CHECK(conv_path_by_rule(unknown) == ConvPath::winograd6);
  CHECK(conv_path_by_rule(few) == ConvPath::direct);
}

TEST_CASE("conv: neighbours in a plain background stay equal to the bit") {
  for (std::int64_t kernel : {3, 5}) {
    const std::int64_t side = 33, pad = kernel / 2;
    Tensor x = hashed_input("x", {2, side, side, 20}), w = hashed_input("w", {32, kernel, kernel, 20});
    auto plain = [&](std::int64_t r, std::int64_t c) { return c > 20 || r > 26 || (r > 6 && r < 13 && c > 10) || (r < 9 && c < 14); };
    float* v = x.mutable_data<float>();
    for (std::int64_t i = 0; i < x.numel(); ++i)
      if (plain(i / 20 / side % side, i / 20 % side)) v[i] = 0.1f * static_cast<float>(i % 20);
    auto whole = [&](std::int64_t r, std::int64_t c) {
      for (std::int64_t i = r - pad; i <= r + pad; ++i)
        for (std::int64_t j = c - pad; j <= c + pad; ++j)
          if (i < 0 || i >= side || j < 0 || j >= side || !plain(i, j)) return false;
      return true;
    };
    with_each_conv_path([&] {
      Tensor y = conv2d(x, w, {1, static_cast<int>(pad), 1});
      const float* at = y.data<float>();
      int compared = 0, different = 0;
      for (std::int64_t r = 0; r < side; ++r) {
        for (std::int64_t c = 0; c < side; ++c) {
          const float* here = at + (r * side + c) * 32;
          if (c > 0 && whole(r, c) && whole(r, c - 1)) ++compared, different += std::memcmp(here, here - 32, 128) != 0;
          if (r > 0 && whole(r, c) && whole(r - 1, c)) ++compared, different += std::memcmp(here, here - 32 * side, 128) != 0;
        }
      }
      CHECK(compared > 200);
      CHECK(different == 0);
    });
  }
}

TEST_CASE("conv: the transposed convolution and the weight gradient are adjoints") {
  for (ConvOptions o : {ConvOptions{1, 1, 1}, ConvOptions{2, 1, 1}, ConvOptions{3, 0, 2}}) {
    Tensor x = hashed_input("x", {2, 13, 13, 6}, DType::f64), w = hashed_input("w", {5, 3, 3, 6}, DType::f64);
    Tensor y = conv2d(x, w, o), dy = hashed_input("dy", y.shape(), DType::f64);
    int rest = static_cast<int>((13 + 2 * o.pad - o.dilation * 2 - 1) % o.stride);
    Tensor dx = conv_transpose2d(dy, w, o, rest);
    REQUIRE(dx.shape() == x.shape());
    CHECK(dot(y, dy) == doctest::Approx(dot(x, dx)).epsilon(1e-12));
    CHECK(dot(y, dy) == doctest::Approx(dot(w, conv2d_weight_grad(x, dy, 3, 3, o))).epsilon(1e-12));
  }
}

TEST_CASE("conv: a constant weight gives the same bits as any other") {
  struct Shapes {
    Shape x, w;
    ConvOptions options;
  };
  for (const Shapes& s : {Shapes{{2, 17, 13, 20}, {70, 3, 3, 20}, {1, 1, 1}}, Shapes{{1, 16, 16, 32}, {24, 4, 4, 32}, {2, 1, 1}},
                          Shapes{{2, 24, 24, 64}, {64, 3, 3, 64}, {1, 1, 1}}, Shapes{{2, 16, 16, 3}, {3, 1, 1, 3}, {1, 0, 1}},
                          Shapes{{2, 16, 16, 40}, {3, 5, 5, 40}, {1, 2, 1}}, Shapes{{1, 4, 4, 64}, {64, 3, 3, 64}, {1, 1, 1}}}) {
    Tensor x = hashed_input("x", s.x), w = hashed_input("w", s.w), kept = w.clone().set_constant();
    x.set_requires_grad();
    Tensor y = conv2d(x, w, s.options), dy = hashed_input("dy", y.shape());
    Tensor dx = grad({y}, {x}, {dy})[0];
    for (int i = 0; i < 2; ++i) {
      Tensor again = conv2d(x, kept, s.options);
      CHECK(same_bits(again, y));
      CHECK(same_bits(grad({again}, {x}, {dy})[0], dx));
    }
  }
}

TEST_CASE("conv: gradients that are not needed are not made") {
  Tensor x = hashed_input("x", {1, 8, 8, 4}), w = hashed_input("w", {4, 3, 3, 4});
  x.set_requires_grad();
  Tensor y = conv2d(x, w, {1, 1, 1});
  std::vector<Tensor> inputs = y.node()->derivative.fn({y, Tensor{}, {true, false}});
  CHECK(inputs[0].defined());
  CHECK_FALSE(inputs[1].defined());
}

TEST_CASE("conv: errors name the operator and the shapes") {
  Tensor x = Tensor::zeros({1, 64, 64, 3});
  CHECK_THROWS_WITH_AS(conv2d(x, Tensor::zeros({16, 3, 3, 8})),
                       "conv2d: x has 3 channels, weight expects 8 (x f32 [1,64,64,3], w f32 [16,3,3,8])", Error);
  CHECK_THROWS_WITH_AS(conv_transpose2d(x, Tensor::zeros({16, 3, 3, 8})),
                       "conv_transpose2d: x has 3 channels, weight expects 16 (x f32 [1,64,64,3], w f32 [16,3,3,8])", Error);
  CHECK_THROWS_WITH_AS(conv2d_weight_grad(x, Tensor::zeros({1, 64, 64, 5}), 3, 3),
                       "conv2d_weight_grad: a 3x3 convolution of x gives pictures of 62x62 (x f32 [1,64,64,3], dy f32 [1,64,64,5])", Error);
  CHECK_THROWS_AS(conv2d(x, Tensor::zeros({16, 3, 3, 3}, DType::f64)), Error);
  CHECK_THROWS_AS(conv2d(x, Tensor::zeros({16, 65, 65, 3})), Error);
  CHECK_THROWS_AS(conv2d(x, Tensor::zeros({16, 3, 3, 3}), {0, 0, 1}), Error);
  CHECK_THROWS_AS(conv2d(x, Tensor::zeros({16, 3, 3, 3}), {1, -1, 1}), Error);
  CHECK_THROWS_AS(conv2d(Tensor::zeros({64, 64, 3}), Tensor::zeros({16, 3, 3, 3})), Error);
  CHECK_THROWS_AS(conv2d(Tensor::zeros({1, 4, 4, 3}), Tensor::zeros({16, 5, 3, 3})), Error);
  CHECK_THROWS_AS(conv_transpose2d(Tensor::zeros({1, 1, 1, 4}), Tensor::zeros({4, 1, 1, 4}), {1, 1, 1}), Error);
}
