#include "kernels/bias_act/bias_act.h"

#include <doctest/doctest.h>

#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

TEST_CASE("bias_act") {
  run_cases("bias_act", [](const Case& c, const std::vector<Tensor>& in) {
    return bias_act(in[0], {in[1], in[2], in[3], in[4], c.number("slope"), c.number("gain")});
  });
}

TEST_CASE("bias_act refuses what it cannot do") {
  Tensor x = Tensor::zeros({2, 3, 4, 5});
  BiasAct act;
  act.bias = Tensor::zeros({4});
  CHECK_THROWS_WITH_AS(bias_act(x, act), "bias_act: bias f32 [4] does not fit x f32 [2,3,4,5]", Error);
  act = {};
  act.scale = Tensor::zeros({1, 5});
  CHECK_THROWS_WITH_AS(bias_act(x, act), "bias_act: scale f32 [1,5] does not fit x f32 [2,3,4,5]", Error);
  act = {};
  act.noise = Tensor::zeros({1, 3, 4, 1});
  CHECK_THROWS_WITH_AS(bias_act(x, act), "bias_act: noise and noise_weight go together", Error);
  act.noise_weight = Tensor::zeros({1});
  act.noise = Tensor::zeros({1, 4, 4, 1});
  CHECK_THROWS_AS(bias_act(x, act), Error);
  act.noise = Tensor::zeros({1, 3, 4, 1}, DType::f64);
  CHECK_THROWS_AS(bias_act(x, act), Error);
  act = {};
  act.gain = -1;
  CHECK_THROWS_AS(bias_act(x, act), Error);
  CHECK_THROWS_AS(bias_act(Tensor::zeros({2, 3, 5}), {}), Error);
}
