// As device_many_images.test.cpp, of the kernels whose blocks wait for one another: the emulator is slow with them.
#include <doctest/doctest.h>

#include "kernels/bias_act/bias_act.h"
#include "kernels/geometry/geometry.h"
#include "kernels/lpips_head/lpips_head.h"
#include "tests/support/many_pictures.h"

using namespace g2s;
using namespace g2s::test;

TEST_CASE("many pictures [long]: on the device, bias and activation" * doctest::skip(no_test_device())) {
  const auto act = [](const std::vector<Tensor>& in) {
    BiasAct a;
    a.scale = in[1], a.bias = in[2];
    return bias_act(in[0], a);
  };
  check_on_device("bias_act_grad", {hashed_input("x", {many, 1, 1, 1}), hashed_input("scale", {many, 1}), hashed_input("bias", {1})}, true, act);
}

TEST_CASE("many pictures [long]: on the device, LPIPS" * doctest::skip(no_test_device())) {
  check_on_device("lpips_head", {hashed_input("a", {many, 1, 1, 2}), hashed_input("b", {many, 1, 1, 2}), hashed_input("head", {2})}, false,
                  [](const std::vector<Tensor>& in) { return lpips_head(in[0], in[1], in[2]); });
}

TEST_CASE("many pictures [long]: on the device, poses" * doctest::skip(no_test_device())) {
  check_on_device("rigid_sums", {hashed_input("p", {1, 1, 1, 3}), hashed_input("R", {many, 3, 3}), hashed_input("t", {many, 3})}, true,
                  [](const std::vector<Tensor>& in) { return rigid_transform(in[0], in[1], in[2], 1); });
}
