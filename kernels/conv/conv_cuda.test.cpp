// What the table of cases is too small for: the device's larger tiles, cut sums, and results finished on the way.
#include <doctest/doctest.h>

#include "engine/autograd.h"
#include "engine/cuda/launches.h"
#include "kernels/conv/conv.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/matmul/tiled_gemm_args.h"
#include "kernels/reduce/reduce.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

struct Shapes {
  Shape x, w;
  ConvOptions options;
};

Tensor input(const char* name, const Shape& shape, Device device, double scale = 1, double offset = 0) {
  return hashed_input(name, shape, DType::f32, scale, offset).to(device);
}

// dx, dw and y, on the CPU.
std::vector<Tensor> forward_and_gradients(const Shapes& s, Device device) {
  Tensor x = input("x", s.x, device), w = input("w", s.w, device, 0.3);
  x.set_requires_grad(), w.set_requires_grad();
  Tensor y = conv2d(x, w, s.options);
  std::vector<Tensor> all = grad({y}, {x, w}, {input("dy", y.shape(), device)});
  all.push_back(y);
  for (Tensor& t : all) t = t.detach().to(Device{});
  return all;
}

}  // namespace

TEST_CASE("conv: on CUDA, the parts of a cut product cover it, and none is empty") {
  using namespace g2s::kernels;
  for (std::int64_t m : {1, 16, 64, 700, 9000, 262144})
    for (std::int64_t n : {1, 16, 27, 64, 65, 512})
      for (std::int64_t k : {1, 15, 16, 17, 255, 256, 300, 4608, 1000003})
        for (bool f64 : {false, true}) {
          const GemmTiling c = gemm_tiling(m, n, k, 1, !f64 && k % 4 == 0, f64);
          const std::int64_t part = c.steps * gemm_tile_k;
          CHECK(c.split_k * part >= k);
          CHECK((c.split_k - 1) * part < k);
          CHECK(c.split_k <= 264);
          if (k < 256) CHECK(c.split_k == 1);
          if (f64) CHECK(c.tile == GemmTile::f64);
        }
}

TEST_CASE("conv: of a modulated picture") {
  Tensor x = hashed_input("x", {2, 7, 6, 5}), style = hashed_input("style", {2, 5}, DType::f32, 0.5, 1),
         w = hashed_input("w", {4, 3, 3, 5});
  const Tensor modulated = x * style.reshape({2, 1, 1, 5});
  BiasAct act;
  act.bias = hashed_input("bias", {4});
  CHECK(rel_error(conv2d_modulated(x, style, w, {2, 1, 1}), conv2d(modulated, w, {2, 1, 1})) < 1e-6);
  CHECK(rel_error(conv2d_modulated_bias_act(x, style, w, act), conv2d_bias_act(modulated, w, act)) < 1e-6);
  Tensor back = hashed_input("back", {5, 3, 3, 4});
  CHECK(rel_error(conv_transpose2d_modulated(x, style, back, {2, 1, 1}), conv_transpose2d(modulated, back, {2, 1, 1})) < 1e-6);
  CHECK_THROWS_WITH_AS(conv2d_modulated(x, hashed_input("style", {2, 4}), w),
                       "conv2d_modulated: style f32 [2,4] does not fit x f32 [2,7,6,5]", Error);
  CHECK_THROWS_AS(conv_transpose2d_modulated(x, Tensor{}, back), Error);
}

TEST_CASE("conv: on the device, as on the CPU" * doctest::skip(no_test_device())) {
  for (const Shapes& s : {Shapes{{1, 92, 92, 8}, {264, 1, 1, 8}, {1, 0, 1}}, Shapes{{1, 92, 93, 260}, {8, 1, 1, 260}, {1, 0, 1}},
                          Shapes{{1, 4, 4, 176}, {1536, 3, 3, 176}, {1, 1, 1}}, Shapes{{2, 9, 7, 68}, {72, 4, 4, 68}, {2, 1, 1}},
                          Shapes{{1, 16, 15, 51}, {37, 3, 3, 51}, {1, 1, 1}}, Shapes{{1, 13, 12, 64}, {16, 3, 3, 64}, {3, 2, 2}}}) {
    CAPTURE(str(s.x, " ", s.w));
    const std::vector<Tensor> got = forward_and_gradients(s, test_device()), want = forward_and_gradients(s, Device{});
    for (std::size_t i = 0; i < got.size(); ++i) CHECK(rel_error(got[i], want[i]) < 1e-5);
  }
}

TEST_CASE("conv: on the device, bias and activation in the same pass" * doctest::skip(no_test_device())) {
  const Device device = test_device();
  for (std::int64_t channels : {3, 36, 160})  // the last sums in parts
    for (std::int64_t maps : {0, 1, 2}) {
      const std::int64_t outputs = channels == 36 ? 41 : 40;
      Tensor x = input("x", {2, 6, 5, channels}, device), w = input("w", {outputs, 3, 3, channels}, device, 0.3).set_requires_grad();
      BiasAct act;
      act.bias = input("bias", {outputs}, device).set_requires_grad();
      act.gain = 1.5;
      if (maps > 0) {
        act.scale = input("scale", {2, outputs}, device, 0.5, 1);
        act.noise = input("noise", {maps, 6, 5, 1}, device);
        act.noise_weight = input("weight", {1}, device);
      }
      const Tensor want = bias_act(conv2d(x, w, {1, 1, 1}), act), dy = input("dy", want.shape(), device);
      if (cuda::forget_launches) cuda::forget_launches();
      const Tensor y = conv2d_bias_act(x, w, act, {1, 1, 1});
      if (cuda::launches) CHECK(cuda::launches().count("bias_act") == 0);
      CHECK(same_bits(y.detach().to(Device{}), want.detach().to(Device{})));
      if (cuda::launches) CHECK(cuda::launches().count("bias_act_mask") == 0);
      const std::vector<Tensor> got = grad({y}, {w, act.bias}, {dy}), two = grad({want}, {w, act.bias}, {dy});
      for (std::size_t i = 0; i < got.size(); ++i) CHECK(rel_error(got[i].to(Device{}), two[i].to(Device{})) < 1e-5);
    }
}
