// Convolutions on CUDA by cuDNN instead of our kernels, and the table that chooses. The emulator answers for cuDNN, and checks what it is asked
// as strictly; the library itself is asked for plans where it is installed, for which it needs no device.
#include <doctest/doctest.h>

#include <cstdlib>

#include "bench/dnn_properties.h"
#include "engine/context.h"
#include "engine/autograd.h"
#include "engine/cuda/dnn.h"
#include "engine/cuda/launches.h"
#include "kernels/conv/conv.h"
#include "kernels/conv/conv_cudnn.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/matmul/math_mode.h"
#include "kernels/reduce/reduce.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/conv_cases.h"
#include "tests/support/cuda_paths.h"
#include "tests/support/math_modes.h"
#include "tests/support/skip.h"

using namespace g2s;
using namespace g2s::test;
using namespace g2s::kernels;

namespace {

Tensor on_host(const Tensor& t) { return t.detach().to(Device{}); }

CudaConvProblem problem(ConvKind kind, Factors factors, std::int64_t channels = 64, std::int64_t outputs = 64) {
  return {kind, factors, 2, 32, 32, channels, 32, 32, outputs, 3, 3, 1, 1, 1};
}

}  // namespace

TEST_CASE("conv: the table of cases, by cuDNN" * doctest::skip(no_test_device())) {
  const ForcedCudaConv by_cudnn("cudnn");
  cuda::forget_launches();
  run_cases("conv", run_conv);
  CHECK(launches_of("cudnn") > 0);
}

TEST_CASE("conv: by cuDNN on the device, what is fused is the same" * doctest::skip(no_test_device())) {
  const Device device = test_device();
  for (MathMode mode : {MathMode::fma, MathMode::bf16, MathMode::tf32})
    for (std::int64_t channels : {20, 40}) {
      CAPTURE(str(to_string(mode), " ", channels));
      const WithOverride with("G2S_CUDA_MATH", to_string(mode));
      const auto input = [&](const char* name, const Shape& shape, double scale = 1, double offset = 0) {
        return hashed_input(name, shape, DType::f32, scale, offset).to(device);
      };
      Tensor x = input("x", {2, 6, 5, channels}).set_requires_grad(), style = input("style", {2, channels}, 0.5, 1).set_requires_grad();
      Tensor w = input("w", {36, 3, 3, channels}, 0.3).set_requires_grad();
      BiasAct act;
      act.bias = input("bias", {36}).set_requires_grad();
      act.scale = input("scale", {2, 36}, 0.5, 1);
      act.noise = input("noise", {1, 6, 5, 1});
      act.noise_weight = input("weight", {1});
      act.gain = 1.5;
      const Tensor dy = input("dy", {2, 6, 5, 36});
      std::vector<std::vector<Tensor>> results;
      for (const std::string requested : {"own", "cudnn"}) {
        const ForcedCudaConv forced(requested.c_str());
        cuda::forget_launches();
        const Tensor y = conv2d_modulated_bias_act(x, style, w, act, {1, 1, 1});
        CHECK((launches_of("cudnn") > 0) == (requested == "cudnn"));
        CHECK((launches_of("conv_forward") > 0) == (requested == "own"));
        std::vector<Tensor> all = grad({y}, {x, style, w, act.bias}, {dy});
        all.push_back(y);
        results.push_back(all);
      }
      for (std::size_t i = 0; i < results[0].size(); ++i) CHECK(rel_error(on_host(results[1][i]), on_host(results[0][i])) < 1e-5);
    }
}

TEST_CASE("conv: by cuDNN on the device, factors are rounded as asked and no more" * doctest::skip(no_test_device())) {
  const ForcedCudaConv by_cudnn("cudnn");
  const Tensor x = hashed_input("x", {2, 9, 8, 20}), w = hashed_input("w", {24, 3, 3, 20}), dy = hashed_input("dy", {2, 5, 4, 24});
  const ConvOptions o{2, 1, 1};
  for (MathMode mode : {MathMode::fma, MathMode::bf16, MathMode::tf32}) {
    CAPTURE(to_string(mode));
    const WithOverride with("G2S_CUDA_MATH", to_string(mode));
    const auto rounded = [&](const Tensor& t) { return rounded_for(mode, t); };
    const auto there = [&](const Tensor& t) { return t.to(test_device()); };
    CHECK(rel_error(on_host(conv2d(there(x), there(w), o)).to(DType::f64), conv2d(rounded(x), rounded(w), o)) < 2e-7);
    CHECK(rel_error(on_host(conv_transpose2d(there(dy), there(w), o, 0)).to(DType::f64), conv_transpose2d(rounded(dy), rounded(w), o, 0)) < 2e-7);
    CHECK(rel_error(on_host(conv2d_weight_grad(there(x), there(dy), 3, 3, o)).to(DType::f64), conv2d_weight_grad(rounded(x), rounded(dy), 3, 3, o)) <
          2e-7);
  }
}

TEST_CASE("conv: by cuDNN on the device, what it cannot compute is computed by our kernels" * doctest::skip(no_test_device())) {
  const ForcedCudaConv by_cudnn("cudnn");
  const Tensor x = hashed_input("x", {1, 4, 5, 6}), w = hashed_input("w", {6, 3, 3, 7});
  cuda::forget_launches();
  const Tensor y = conv_transpose2d(x.to(test_device()), w.to(test_device()), {2, 1, 1}, 3);  // larger than the input of any convolution to x
  CHECK(launches_of("cudnn") == 0);
  CHECK(rel_error(on_host(y), conv_transpose2d(x, w, {2, 1, 1}, 3)) < 1e-6);
}

TEST_CASE("conv: on the device, a forced cuDNN that is not there is an error" * doctest::skip(no_test_device())) {
  if (cuda::dnn::version() != 0) return skip("the library cannot be hidden from this program");
  const ForcedCudaConv by_cudnn("cudnn");
  const Tensor x = hashed_input("x", {1, 4, 4, 4}).to(test_device()), w = hashed_input("w", {4, 3, 3, 4}).to(test_device());
  ::setenv("G2S_SIMT_NO_VENDOR", "1", 1);
  CHECK_THROWS_WITH_AS(conv2d(x, w), "G2S_CUDA_CONV: cudnn is forced, but libcudnn.so.9 cannot be loaded (the emulator was told so)", Error);
  {
    const ForcedCudaConv none(nullptr);
    CHECK(conv2d(x, w).numel() == 16);
  }
  ::unsetenv("G2S_SIMT_NO_VENDOR");
}

TEST_CASE("conv: the emulated cuDNN on the device refuses what the library would" * doctest::skip(no_test_device())) {
  if (cuda::dnn::version() != 0) return skip("this program has the library itself");
  using cuda::dnn::Convolution;
  const Convolution right = describe(problem(ConvKind::forward, Factors::f32));
  CHECK(cuda::dnn::plan(right, {1, {}}) != nullptr);
  CHECK(cuda::dnn::plan(right, {7, {}}) == nullptr);
  const auto wrong = [&](auto change) {
    Convolution c = right;
    change(c);
    CHECK_THROWS_AS(cuda::dnn::plan(c, {1, {}}), Error);
  };
  wrong([](Convolution& c) { c.y.dims[2] -= 1; });
  wrong([](Convolution& c) { c.x.strides[1] = c.x.dims[2] * c.x.dims[3]; });
  wrong([](Convolution& c) { c.w.dims[0] += 1; });
  wrong([](Convolution& c) { c.x.type = cuda::dnn::Type::bf16; });
  wrong([](Convolution& c) { c.y.alignment = 3; });
  wrong([](Convolution& c) { c.dilation[1] = 0; });
  Tensor x = Tensor::zeros({2, 32, 32, 64}), w = Tensor::zeros({64, 3, 3, 64}), y = Tensor::zeros({2, 32, 32, 64});
  CHECK_THROWS_AS(cuda::dnn::plan(right, {1, {}})->run(x.raw(), w.raw(), y.raw(), nullptr), Error);
  CHECK_THROWS_AS(cuda::dnn::plan(right, {0, {}})->run(static_cast<const char*>(x.raw()) + 4, w.raw(), y.raw(), nullptr), Error);
}

TEST_CASE("conv: who computes what on CUDA") {
  const ForcedCudaConv none(nullptr);
  const CudaConvProblem f32 = problem(ConvKind::forward, Factors::f32), tf32 = problem(ConvKind::forward, Factors::tf32),
                        bf16 = problem(ConvKind::forward, Factors::bf16), few = problem(ConvKind::forward, Factors::tf32, 64, 3);
  CHECK(cuda_conv_by_rule(f32, 90) == CudaConvPath::fma);
  CHECK(cuda_conv_by_rule(tf32, 90) == CudaConvPath::tf32);
  CHECK(cuda_conv_by_rule(few, 90) == CudaConvPath::fma);
  CHECK(cuda_conv_by_rule(tf32, 75) == CudaConvPath::fma);
  CHECK(cuda_conv_by_rule(bf16, 90) == CudaConvPath::bf16);
  CHECK_FALSE(possible(CudaConvPath::tf32, f32, 90));
  CHECK_FALSE(possible(CudaConvPath::fma, bf16, 90));
  CHECK_FALSE(possible(CudaConvPath::cudnn, bf16, 75));

  // A row counts for its own device and problem alone.
  const CudaConvRow rows[] = {{80, f32, CudaConvPath::cudnn, "70:2=12,18=0"}, {90, f32, CudaConvPath::fma}, {90, tf32, CudaConvPath::cudnn}};
  CHECK(find_cuda_conv(std::begin(rows), std::end(rows), 80, f32) == rows);
  CHECK(find_cuda_conv(std::begin(rows), std::end(rows), 90, f32) == rows + 1);
  CHECK(find_cuda_conv(std::begin(rows), std::end(rows), 86, f32) == nullptr);
  CHECK(find_cuda_conv(std::begin(rows), std::end(rows), 90, few) == nullptr);

  for (const CudaConvRow* r = cuda_conv_table_begin(); r != cuda_conv_table_end(); ++r) {
    CHECK(possible(r->path, r->problem, r->sm));
    if (r + 1 != cuda_conv_table_end()) CHECK((r->sm != r[1].sm ? r->sm < r[1].sm : r->problem < r[1].problem));
    CHECK(choose_cuda_conv(r->problem, r->sm).path == r->path);
    if (r->algorithm) CHECK(cuda::to_string(cuda::algorithm_from(r->algorithm)) == r->algorithm);
  }
  const ForcedCudaConv cudnn("cudnn");
  CHECK(choose_cuda_conv(f32, 90).path == CudaConvPath::cudnn);
}

// Of cuDNN itself, not of what the emulator says: graphs, heuristics and plans need no device. Those of bf16 do, which are compiled for it.
TEST_CASE("conv: cuDNN has plans for the right engines, without a device") {
  using namespace cuda::dnn;
  if (!plan) return skip("this program was built without CUDA");
  if (!unavailable_reason().empty()) return skip(unavailable_reason());
  if (version() == 0) return skip("the emulator answers for cuDNN");
  for (int sm : {80, 90}) {
    use_properties(properties_like(sm));
    for (ConvKind kind : {ConvKind::forward, ConvKind::input_grad, ConvKind::weight_grad})
      for (std::int64_t channels : {64, 3}) {
        CAPTURE(str(sm, " ", to_string(kind), " ", channels));
        const Convolution f32 = describe(problem(kind, Factors::f32, channels)), tf32 = describe(problem(kind, Factors::tf32, channels));
        const std::vector<cuda::Algorithm> exact = engines(f32);
        REQUIRE(!exact.empty());
        CHECK(plan(f32, exact.front()) != nullptr);
        CHECK(plan(f32, cuda::algorithm_from(cuda::to_string(exact.front()))) != nullptr);
        // An engine that needs tensor cores would round to tf32.
        int rounding = 0;
        for (const cuda::Algorithm& e : engines(tf32)) {
          if (plan(f32, e) == nullptr) ++rounding;
          else CHECK(plan(tf32, e) != nullptr);
        }
        CHECK(rounding > 0);
      }
    // What cuDNN notes as not always the same.
    if (version() / 100 == 919) {
      CHECK(plan(describe(problem(ConvKind::input_grad, Factors::f32)), {25, {}}) == nullptr);
      CHECK(plan(describe(problem(ConvKind::weight_grad, Factors::f32)), {20, {}}) == nullptr);
    }
    Convolution wrong = describe(problem(ConvKind::forward, Factors::f32));
    wrong.y.dims[2] -= 1;
    CHECK_THROWS_AS(engines(wrong), Error);
  }
  use_properties("");
}

TEST_CASE("conv: algorithms are read as they are written") {
  for (const char* text : {"41", "0:2=1", "67:2=5,13=0,27=7"}) CHECK(cuda::to_string(cuda::algorithm_from(text)) == text);
  for (const char* text : {"", "x", "41:", "41:2", "41:2=", "41:2=1,", "41,2=1", "41:2=1;3=2"}) CHECK_THROWS_AS(cuda::algorithm_from(text), Error);
}
