#include "kernels/adam/adam.h"

#include <doctest/doctest.h>

#include <map>

#include "engine/safetensors.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;

namespace {

const std::vector<Shape> shapes = {{1}, {5, 7}, {3, 41}};
constexpr int last_step = 5;

// As in make_golden.py.
const std::map<std::string, AdamOptions> runs = {
    {"usual", {.lr = 1e-3}},
    {"decay", {.lr = 1e-4, .weight_decay = 5e-4}},
    {"first_moment_off", {.lr = 2e-3, .beta1 = 0, .beta2 = 0.99, .eps = 1e-6}},
    {"half", {.lr = 0.05, .beta1 = 0.5, .beta2 = 0.9}},
    {"decay_missing", {.lr = 1e-2, .weight_decay = 0.1}},
};

std::vector<Tensor> start(const std::string& name, DType dtype) {
  std::vector<Tensor> parameters;
  for (std::size_t k = 0; k < shapes.size(); ++k) {
    parameters.push_back(test::hashed_input(str(name, "/parameter", k), shapes[k], dtype));
    parameters.back().set_requires_grad();
  }
  return parameters;
}

std::vector<Tensor> gradients(const std::string& name, DType dtype, int t) {
  std::vector<Tensor> g(shapes.size());
  for (std::size_t k = 0; k < g.size(); ++k)
    if (name.find("missing") == std::string::npos || (t + static_cast<int>(k)) % 3 != 0)
      g[k] = test::hashed_input(str(name, "/gradient", k, "/", t), shapes[k], dtype);
  return g;
}

}  // namespace

TEST_CASE("adam: the same steps as PyTorch") {
  const SafetensorsFile golden(test::source_path("kernels/adam/golden.safetensors"));
  int compared = 0;
  for (const auto& [name, options] : runs) {
    for (DType dtype : {DType::f32, DType::f64}) {
      CAPTURE(name);
      CAPTURE(to_string(dtype));
      Adam adam(start(name, dtype), options);
      for (int t = 1; t <= last_step; ++t) {
        adam.step(gradients(name, dtype, t));
        for (std::size_t k = 0; k < shapes.size(); ++k) {
          std::string key = str(k, "/", t), prefix = str(name, "/", dtype, "/");
          if (!golden.contains(prefix + "parameter" + key)) continue;
          // f32: a moment of one element whose gradients cancel shows whether multiply-adds are fused, as they are in PyTorch.
          double tolerance = dtype == DType::f64 ? 1e-15 : 1e-6;
          CHECK(test::rel_error(adam.parameters()[k], golden.get(prefix + "parameter" + key)) < tolerance);
          CHECK(test::rel_error(adam.moments()[k], golden.get(prefix + "first" + key)) < tolerance);
          CHECK(test::rel_error(adam.moments()[shapes.size() + k], golden.get(prefix + "second" + key)) < tolerance);
          ++compared;
        }
      }
    }
  }
  CHECK(compared == 2 * (4 * 3 * 2 + 2 + 3));  // one parameter of the last run has no gradient in its first step
}

TEST_CASE("adam: a large parameter, at any number of threads, like its elements one by one") {
  const std::int64_t n = 50021;
  Tensor value = test::hashed_input("adam/value", {n}), g = test::hashed_input("adam/gradient", {n});
  auto run = [&](int threads) {
    test::Threads guard(threads);
    Adam adam({value.clone()}, {.lr = 1e-2, .weight_decay = 0.01});
    for (int t = 0; t < 3; ++t) adam.step({g});
    return adam.parameters()[0];
  };
  Tensor one = run(1);
  for (int threads : {2, 3, 8}) CHECK(test::same_bits(one, run(threads)));
  for (std::int64_t i : {std::int64_t{0}, std::int64_t{1}, std::int64_t{16383}, std::int64_t{16384}, n - 2, n - 1}) {
    Adam single({Tensor::from<float>({value.data<float>()[i]})}, {.lr = 1e-2, .weight_decay = 0.01});
    for (int t = 0; t < 3; ++t) single.step({Tensor::from<float>({g.data<float>()[i]})});
    CHECK(single.parameters()[0].data<float>()[0] == one.data<float>()[i]);
  }
}

TEST_CASE("adam: on the device" * doctest::skip(test::no_test_device())) {
  const Device device = test::test_device();
  // More parameters than one launch takes, some empty or large, of both types; every third has no gradient in a step.
  std::vector<Shape> sizes = {{0}, {1}, {3}, {1023}, {4096}, {4097}, {20011}, {64, 3, 3, 8}};
  for (int k = 0; k < 130; ++k) sizes.push_back({1 + k % 7, 5});
  for (const auto& [name, options] : runs) {
    CAPTURE(name);
    std::vector<Tensor> here, there;
    auto made = [&](const char* what, std::size_t k, int t) {
      return test::hashed_input(str(name, "/", what, k, "/", t), sizes[k], k % 5 == 2 ? DType::f64 : DType::f32);
    };
    for (std::size_t k = 0; k < sizes.size(); ++k) {
      here.push_back(made("parameter", k, 0));
      there.push_back(here[k].to(device));
    }
    Adam a(here, options), b(there, options);
    for (int t = 1; t <= 3; ++t) {
      std::vector<Tensor> g(sizes.size()), h(sizes.size());
      for (std::size_t k = 0; k < sizes.size(); ++k) {
        if (name == "decay_missing" && (k + static_cast<std::size_t>(t)) % 3 == 0) continue;
        g[k] = made("gradient", k, t);
        h[k] = g[k].to(device);
      }
      a.step(g);
      b.step(h);
    }
    for (std::size_t k = 0; k < sizes.size(); ++k) {
      CAPTURE(k);
      const double tolerance = here[k].dtype() == DType::f64 ? 1e-14 : 1e-6;
      CHECK(test::rel_error(there[k].to(Device{}), here[k]) < tolerance);
      for (std::size_t i : {k, sizes.size() + k}) CHECK(test::rel_error(b.moments()[i].to(Device{}), a.moments()[i]) < tolerance);
    }
  }
  Adam mixed({Tensor::zeros({2}), Tensor::zeros({2}, DType::f32, device)}, {});
  CHECK_THROWS_WITH(mixed.step({Tensor::zeros({2}), Tensor::zeros({2}, DType::f32, device)}), "adam: parameters on cpu and cuda:0");
}

TEST_CASE("adam: updates the parameter that the caller holds, and resumes from its state") {
  Tensor p = test::hashed_input("adam/p", {40}), g = test::hashed_input("adam/g", {40});
  p.set_requires_grad();
  Tensor copy = p.clone();
  Adam adam({p}, {.lr = 0.1});
  adam.step({g});
  CHECK(!test::same_bits(p.detach(), copy));
  CHECK(adam.steps() == 1);

  Adam other({p.clone()}, {.lr = 0.1});
  for (std::size_t i = 0; i < 2; ++i) copy_into(other.moments()[i], adam.moments()[i]);
  other.set_steps(1);
  for (int t = 0; t < 2; ++t) {
    adam.step({g});
    other.step({g});
  }
  CHECK(test::same_bits(p.detach(), other.parameters()[0]));
  CHECK(other.steps() == 3);

  Tensor before = p.clone();
  adam.set_lr(0);
  adam.step({g});
  CHECK(test::same_bits(p.detach(), before));
}

TEST_CASE("adam: errors name the parameter") {
  Adam adam({Tensor::zeros({2, 3})}, {});
  CHECK_THROWS_WITH(adam.step({Tensor::zeros({3, 2})}), "adam: gradient 0 is f32 [3,2] for a parameter f32 [2,3]");
  CHECK_THROWS_WITH(adam.step({}), "adam: 0 gradients for 1 parameters");
  CHECK_THROWS_AS(Adam({Tensor::zeros({2}).set_constant()}, {}), Error);
  CHECK_THROWS_AS(Adam({Tensor::zeros({2})}, {.beta1 = 1}), Error);
  CHECK(adam.steps() == 0);
}
