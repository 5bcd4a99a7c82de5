// Convolutions on a device's tensor cores, against f64 on factors rounded as the mode rounds them.
#include <doctest/doctest.h>

#include "engine/context.h"
#include "engine/autograd.h"
#include "engine/precision.h"
#include "kernels/conv/conv.h"
#include "kernels/elementwise/elementwise.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/math_modes.h"

using namespace g2s;
using namespace g2s::test;
using kernels::MathMode;

namespace {

struct Shapes {
  Shape x, w;
  ConvOptions options;
};

// Tiles of each size, cut sums, phases of a stride, channels that four does not divide, and few.
const Shapes all_shapes[] = {{{1, 92, 92, 8}, {264, 1, 1, 8}, {1, 0, 1}},  {{2, 9, 7, 68}, {72, 4, 4, 68}, {2, 1, 1}},
                             {{1, 4, 4, 176}, {136, 3, 3, 176}, {1, 1, 1}}, {{1, 16, 15, 51}, {37, 3, 3, 51}, {1, 1, 1}},
                             {{1, 13, 12, 64}, {3, 3, 3, 64}, {3, 2, 2}},   {{2, 17, 15, 3}, {20, 4, 4, 3}, {2, 1, 1}}};

Tensor on_host(const Tensor& t) { return t.detach().to(Device{}).to(DType::f64); }

// What `mode` takes; the rest runs on fma.
MathMode taken(MathMode mode, std::int64_t columns, bool vectors) {
  return mode == MathMode::bf16 || (vectors && columns > 16) ? mode : MathMode::fma;
}

}  // namespace

TEST_CASE("conv: on the device, on tensor cores" * doctest::skip(no_test_device())) {
  for (MathMode mode : {MathMode::bf16, MathMode::tf32})
    for (const Shapes& s : all_shapes) {
      CAPTURE(str(to_string(mode), " ", s.x, " ", s.w));
      const std::int64_t inputs = s.x[3], outputs = s.w[0];
      const bool vectors = inputs % 4 == 0, both = vectors && outputs % 4 == 0;
      const Tensor x = hashed_input("x", s.x), w = hashed_input("w", s.w, DType::f32, 0.3);
      const auto exact = [&](MathMode used) {
        return conv2d(rounded_for(used, x).set_requires_grad(), rounded_for(used, w).set_requires_grad(), s.options);
      };
      const Tensor want = exact(taken(mode, outputs, vectors)).detach(), dy = hashed_input("dy", want.shape());
      const WithOverride with("G2S_CUDA_MATH", to_string(mode));
      Tensor on = x.to(test_device()).set_requires_grad(), by = w.to(test_device()).set_requires_grad();
      const Tensor y = conv2d(on, by, s.options);
      CHECK(rel_error(on_host(y), want) < 1e-6);

      const std::vector<Tensor> got = grad({y}, {on, by}, {dy.to(test_device())});
      const MathMode for_x = taken(mode, inputs, both), for_w = taken(mode, inputs * s.w[1] * s.w[2], both);
      Tensor u = rounded_for(for_x, x).set_requires_grad(), v = rounded_for(for_x, w);
      CHECK(rel_error(on_host(got[0]), grad({conv2d(u, v, s.options)}, {u}, {rounded_for(for_x, dy)})[0]) < 1e-6);
      u = rounded_for(for_w, x), v = rounded_for(for_w, w).set_requires_grad();
      CHECK(rel_error(on_host(got[1]), grad({conv2d(u, v, s.options)}, {v}, {rounded_for(for_w, dy)})[0]) < 1e-6);
    }
}

TEST_CASE("conv: on the device, modulated pictures on tensor cores" * doctest::skip(no_test_device())) {
  const Tensor x = hashed_input("x", {2, 12, 11, 40}), style = hashed_input("style", {2, 40}), w = hashed_input("w", {36, 3, 3, 40});
  const Tensor product = mul(x, style.reshape({2, 1, 1, 40}));  // in f32, as the device has it before it rounds
  for (MathMode mode : {MathMode::bf16, MathMode::tf32}) {
    CAPTURE(str(to_string(mode)));
    const WithOverride with("G2S_CUDA_MATH", to_string(mode));
    const Tensor y = conv2d_modulated(x.to(test_device()), style.to(test_device()), w.to(test_device()), {1, 1, 1});
    CHECK(rel_error(on_host(y), conv2d(rounded_for(mode, product), rounded_for(mode, w), {1, 1, 1})) < 1e-6);
  }
}

// Which products each precision rounds: of shapes that every mode takes, and of some that tf32 leaves to fma (few columns, odd channels).
TEST_CASE("conv: on the device, what each precision rounds" * doctest::skip(no_test_device())) {
  for (Precision p : {Precision::f32, Precision::tf32, Precision::bf16})
    for (const Shapes& s : {Shapes{{1, 9, 8, 20}, {24, 3, 3, 20}, {1, 1, 1}}, Shapes{{2, 9, 7, 68}, {72, 4, 4, 68}, {2, 1, 1}},
                            Shapes{{1, 7, 6, 36}, {3, 1, 1, 36}, {1, 0, 1}}, Shapes{{1, 8, 6, 21}, {37, 3, 3, 21}, {1, 1, 1}}}) {
      CAPTURE(str(to_string(p), " ", s.x, " ", s.w));
      const std::int64_t inputs = s.x[3], outputs = s.w[0];
      const bool vectors = inputs % 4 == 0, both = vectors && outputs % 4 == 0;
      const MathMode mode = p == Precision::f32 ? MathMode::fma : p == Precision::tf32 ? MathMode::tf32 : MathMode::bf16;
      const Tensor x = hashed_input("x", s.x), w = hashed_input("w", s.w);
      Tensor on = x.to(test_device()).set_requires_grad(), by = w.to(test_device()).set_requires_grad();
      const WithPrecision with(p);
      const Tensor y = conv2d(on, by, s.options), dy = hashed_input("dy", y.shape());
      const std::vector<Tensor> got = grad({y}, {on, by}, {dy.to(test_device())});
      const MathMode for_y = taken(mode, outputs, vectors), for_x = taken(mode, inputs, both);
      const MathMode for_w = p == Precision::bf16 ? MathMode::fma : taken(mode, inputs * s.w[1] * s.w[2], both);
      CHECK(rel_error(on_host(y), conv2d(rounded_for(for_y, x), rounded_for(for_y, w), s.options)) < 1e-6);
      Tensor u = rounded_for(for_x, x).set_requires_grad(), v = rounded_for(for_x, w);
      CHECK(rel_error(on_host(got[0]), grad({conv2d(u, v, s.options)}, {u}, {rounded_for(for_x, dy)})[0]) < 1e-6);
      const Tensor dw = conv2d_weight_grad(rounded_for(for_w, x), rounded_for(for_w, dy), s.w[1], s.w[2], s.options);
      CHECK(rel_error(on_host(got[1]), dw) < 1e-6);
    }
}

TEST_CASE("conv: on the device, bias, activation and its mask on tensor cores" * doctest::skip(no_test_device())) {
  for (MathMode mode : {MathMode::bf16, MathMode::tf32})
    for (std::int64_t outputs : {37, 40})
      for (std::int64_t channels : {12, 160}) {  // the last sums in parts
        CAPTURE(str(to_string(mode), " ", outputs, " ", channels));
        const WithOverride with("G2S_CUDA_MATH", to_string(mode));
        Tensor x = hashed_input("x", {2, 6, 5, channels}).to(test_device()).set_requires_grad();
        Tensor w = hashed_input("w", {outputs, 3, 3, channels}, DType::f32, 0.3).to(test_device());
        BiasAct act;
        act.bias = hashed_input("bias", {outputs}).to(test_device()).set_requires_grad();
        act.gain = 1.5;
        const Tensor y = conv2d_bias_act(x, w, act, {1, 1, 1}), two = bias_act(conv2d(x, w, {1, 1, 1}), act);
        CHECK(same_bits(y.detach().to(Device{}), two.detach().to(Device{})));
        const Tensor dy = hashed_input("dy", y.shape()).to(test_device());
        const std::vector<Tensor> got = grad({y}, {x, act.bias}, {dy}), want = grad({two}, {x, act.bias}, {dy});
        for (std::size_t i = 0; i < got.size(); ++i) CHECK(rel_error(on_host(got[i]), on_host(want[i])) < 1e-6);
      }
}
