// Every kernel whose grid counts images, products or rows, with too many of them for one launch. Those that sum are in
// device_many_sums.test.cpp.
#include <doctest/doctest.h>

#include "kernels/bias_act/bias_act.h"
#include "kernels/conv/conv.h"
#include "kernels/matmul/matmul.h"
#include "kernels/resize/resize.h"
#include "tests/support/many_pictures.h"

using namespace g2s;
using namespace g2s::test;

TEST_CASE("many pictures: on the device, bias and activation of many channels" * doctest::skip(no_test_device())) {
  constexpr std::int64_t channels = 32 * many + 1;  // of a block 32
  check_on_device("bias_act", {hashed_input("x", {1, 1, 1, channels}), hashed_input("bias", {channels})}, false, [](const std::vector<Tensor>& in) {
    BiasAct a;
    a.bias = in[1];
    return bias_act(in[0], a);
  });
}

TEST_CASE("many pictures: on the device, resampled" * doctest::skip(no_test_device())) {
  const auto wider = [](const std::vector<Tensor>& in) { return resize_bilinear(in[0], in[0].dim(1), 2); };
  check_on_device("resample", {hashed_input("x", {many, 1, 1, 1})}, false, wider);
  check_on_device("resample", {hashed_input("x", {1, many, 1, 1})}, false, wider);
}

TEST_CASE("many pictures: on the device, products of matrices" * doctest::skip(no_test_device())) {
  check_on_device("matmul", {hashed_input("a", {many, 1, 3}), hashed_input("b", {many, 3, 2})}, false,
                  [](const std::vector<Tensor>& in) { return matmul(in[0], in[1]); });
}

TEST_CASE("many pictures: on the device, a convolution of many phases" * doctest::skip(no_test_device())) {
  constexpr int stride = 257;  // a product for each of its phases down and across
  check_on_device("conv_input_grad", {hashed_input("x", {1, 1, 1, 2}), hashed_input("w", {2, 1, 1, 1})}, false,
                  [](const std::vector<Tensor>& in) { return conv_transpose2d(in[0], in[1], {stride, 0, 1}, stride - 1); });
}
