// Contexts beside and after each other: what one does, another never sees.
#include "engine/context.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "engine/accelerator.h"
#include "engine/allocator.h"
#include "engine/autograd.h"
#include "engine/constant.h"
#include "engine/parallel.h"
#include "engine/progress.h"
#include "engine/multiply_adds.h"
#include "kernels/conv/conv.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/isa.h"
#include "kernels/matmul/matmul.h"
#include "kernels/reduce/reduce.h"
#include "kernels/resize/resize.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/left_behind.h"

using namespace g2s;
using namespace g2s::test;

namespace {

// A convolution, a product, tables, constants and their gradients, several times, on the context's device.
std::vector<Tensor> work() {
  const Device device = default_device();
  std::vector<Tensor> out;
  for (int i = 0; i < 3; ++i) {
    Tensor x = hashed_input("context/x", {2, 18, 17, 32}).to(device).set_requires_grad(), w = hashed_input("context/w", {24, 3, 3, 32}).to(device);
    w.set_requires_grad();
    const Tensor y = resize(conv2d(x, w, {1, 1, 1}), 7, 7) * constant({1.5}, {1}, DType::f32);
    const Tensor z = matmul(y.reshape({2, 49, 24}), y.reshape({2, 49, 24}), false, true);
    const std::vector<Tensor> g = grad({sum(square(z))}, {x, w});
    for (const Tensor& t : {z, g[0], g[1]}) out.push_back(t.detach().to(Device{}));
  }
  return out;
}

std::vector<Tensor> work_in(Context& context) {
  const UseContext in(context);
  return work();
}

bool same(const std::vector<Tensor>& a, const std::vector<Tensor>& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end(), same_bits); }

// Settings under which the same convolution has other bits: bf16 where the machine has it, else another algorithm.
Settings other_settings() {
  Settings s{.threads = 3};
  const bool device = test_device().type != DeviceType::cpu;
  if (device || kernels::bf16_unit() != kernels::Bf16Unit::none) s.precision = Precision::bf16;
  else s.overrides["G2S_CONV_PATH"] = "direct";
  return s;
}
Settings usual_settings() { return {.threads = 2, .overrides = {{"G2S_CONV_PATH", "winograd6"}}}; }

}  // namespace

TEST_CASE("context: two in two threads give the bits of one after the other") {
  const ContextOptions one{.device = test_device(), .settings = usual_settings()}, other{.device = test_device(), .settings = other_settings()};
  std::vector<Tensor> alone[2], beside[2];
  {
    Context a(one), b(other);
    alone[0] = work_in(a);
    alone[1] = work_in(b);
  }
  CHECK_FALSE(same(alone[0], alone[1]));
  Context a(one), b(other);
  std::thread second([&] { beside[1] = work_in(b); });
  beside[0] = work_in(a);
  second.join();
  CHECK(same(beside[0], alone[0]));
  CHECK(same(beside[1], alone[1]));
  CHECK(a.counts().multiply_adds == b.counts().multiply_adds);
  CHECK(a.counts().multiply_adds > 0);
}

TEST_CASE("context: several threads in one, which may follow each other") {
  Context context({.device = test_device(), .settings = usual_settings()});
  const std::vector<Tensor> alone = work_in(context);
  for (int round = 0; round < 2; ++round) {
    std::vector<Tensor> found[3];
    std::vector<std::thread> threads;
    for (auto& f : found) threads.emplace_back([&] { f = work_in(context); });
    for (std::thread& t : threads) t.join();
    for (const auto& f : found) CHECK(same(f, alone));
  }
}

TEST_CASE("context: a cancelled one leaves the other alone") {
  Context a, b;
  a.cancel();
  {
    const UseContext in(a);
    CHECK_THROWS_WITH_AS(check_cancelled("work"), "work: was interrupted", Error);
    {
      const UseContext within(b);
      CHECK_NOTHROW(check_cancelled("work"));
    }
    CHECK_THROWS_AS(check_cancelled("work"), Error);
  }
  CHECK_NOTHROW(check_cancelled("work"));
  CHECK(a.cancelled());
  CHECK_FALSE(b.cancelled());
}

TEST_CASE("context: settings are the thread's, for a while, and of those that help it") {
  const int all = num_threads();
  Context context({.settings = {.threads = 3, .precision = Precision::bf16}});
  {
    const UseContext in(context);
    CHECK(&Context::current() == &context);
    CHECK(num_threads() == 3);
    const WithPrecision f32(Precision::f32);
    std::atomic<int> other{0};
    parallel_for(64, [&](std::int64_t) { other += precision() != Precision::f32 || &Context::current() != &context; });
    CHECK(other == 0);
    std::thread([&] { CHECK(precision() == Precision::f32); }).join();  // the default context's
    std::thread([&] {
      const UseContext also(context);
      CHECK(precision() == Precision::bf16);
    }).join();
    {
      const WithOverride with("G2S_CONV_PATH", "direct");
      CHECK(settings().overrides.at("G2S_CONV_PATH") == "direct");
      CHECK(precision() == Precision::f32);
    }
    CHECK(settings().overrides.count("G2S_CONV_PATH") == context.options().settings.overrides.count("G2S_CONV_PATH"));
  }
  CHECK(num_threads() == all);
  CHECK(precision() == Precision::f32);
  CHECK_THROWS_WITH_AS(Context({.settings = {.threads = -1}}), "threads: -1 is not between 0 and 1024", Error);
}

TEST_CASE("context: overrides of the environment are taken when it is made, and wrong ones are told") {
  ::setenv("G2S_CUDA_MATMUL", "own", 1);
  Context context;
  Context with_options({.settings = {.overrides = {{"G2S_CUDA_MATMUL", "cublaslt"}}}});
  ::unsetenv("G2S_CUDA_MATMUL");
  CHECK(context.options().settings.overrides.at("G2S_CUDA_MATMUL") == "own");
  CHECK(with_options.options().settings.overrides.at("G2S_CUDA_MATMUL") == "cublaslt");
  Context wrong({.settings = {.overrides = {{"G2S_CONV_PATH", "fft"}}}});
  const UseContext in(wrong);
  CHECK_THROWS_WITH_AS(conv2d(Tensor::zeros({1, 4, 4, 16}), Tensor::zeros({16, 3, 3, 16})),
                       "G2S_CONV_PATH: must be direct, winograd6 or winograd4, not fft", Error);
}

TEST_CASE("context: sentences and progress go to whoever made it") {
  std::vector<std::string> said;
  Context context({.log = [&](const std::string& s) { said.push_back(s); },
                   .progress = [&](const ProgressState& s) { said.push_back(s.stage); }});
  context.log("a sentence");
  context.report({.stage = "step 1", .step = 1, .steps = 2});
  CHECK(said == std::vector<std::string>{"a sentence", "step 1"});
  Context silent;
  silent.log("nobody listens");
}

TEST_CASE("context: a thousand leave nothing behind") {
  const auto one = [] {
    Context context({.device = test_device(), .settings = {.threads = 3}});
    const UseContext in(context);
    const Tensor x = Tensor::full({1, 12, 12, 16}, 1, DType::f32, test_device()), w = Tensor::full({16, 3, 3, 16}, 1, DType::f32, test_device());
    conv2d(resize(x, 9, 9) * constant({2}, {1}, DType::f32), w);
    parallel_for(8, [](std::int64_t) {});
  };
  for (int i = 0; i < 20; ++i) one();
  const Left before;
  const bool emulated = test_device().type != DeviceType::cpu;  // slow, above all where races are watched
  for (int i = 0; i < (emulated ? 100 : 1000); ++i) one();
  check_nothing_more(before);
}

TEST_CASE("context: on the device a tensor outlives its context, and another may read it" * doctest::skip(no_test_device())) {
  Tensor kept;
  {
    Context context({.device = test_device()});
    const UseContext in(context);
    kept = hashed_input("context/kept", {1000}).to(test_device()) * 2.0;
  }
  Context other({.device = test_device()});
  const UseContext in(other);
  const Tensor read = (kept + 1.0).to(Device{});
  CHECK(same_bits(read, hashed_input("context/kept", {1000}) * 2.0 + 1.0));
  kept = {};
  CHECK(accelerator(test_device(), "test").count() > 0);
}

TEST_CASE("context: memory that one thread has and another releases is not used too early" * doctest::skip(no_test_device())) {
  Context context({.device = test_device()});
  const UseContext in(context);
  const Tensor want = hashed_input("context/handed", {4096});
  std::vector<Tensor> handed;
  std::thread([&] {
    const UseContext also(context);
    for (int i = 0; i < 20; ++i) handed.push_back(want.to(test_device()) * 1.0);
    accelerator(test_device(), "test").synchronize();
  }).join();
  for (Tensor& t : handed) {
    const Tensor sums = t + t;
    t = {};
    CHECK(same_bits(sums.to(Device{}), want + want));
  }
}

TEST_CASE("context: only the limit of a context holds for it" * doctest::skip(no_test_device())) {
  constexpr std::size_t limit = std::size_t{80} << 20;
  Context limited({.device = test_device(), .memory_limit = limit}), free({.device = test_device()});
  const auto take = [](std::int64_t mebibytes) { return Tensor::empty({mebibytes << 18}, DType::f32, test_device()); };
  std::vector<Tensor> kept;
  {
    const UseContext in(free);
    kept.push_back(take(100));
  }
  const UseContext in(limited);
  kept.push_back(take(50));
  CHECK_THROWS_AS(take(50), Error);
  CHECK_THROWS_AS(take(90), Error);
  kept.pop_back();
  CHECK_NOTHROW(take(60));
}
