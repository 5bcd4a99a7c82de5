#include "models/gan2shape/warnings.h"

#include <doctest/doctest.h>

#include <functional>

#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

constexpr std::int64_t side = 64;

Tensor plane_of(const std::function<double(double, double)>& value) {
  std::vector<float> out;
  for (std::int64_t y = 0; y < side; ++y)
    for (std::int64_t x = 0; x < side; ++x)
      out.push_back(static_cast<float>(value((2.0 * static_cast<double>(x) + 1) / side - 1, (2.0 * static_cast<double>(y) + 1) / side - 1)));
  return Tensor::from(out, {1, side, side, 1});
}

// A round object that bulges, well projected, seen from the front.
FitResult good_fit() {
  FitResult fit;
  fit.projection.mse_masked = 0.01;
  fit.target.mask = plane_of([](double x, double y) { return x * x + y * y < 0.4 ? 1.0 : 0.0; });
  fit.depth = plane_of([](double x, double y) { return 0.92 + 0.1 * (x * x + y * y); });
  fit.valid = plane_of([](double, double) { return 1.0; });
  fit.view = Tensor::zeros({1, 6});
  PhaseRecord step3;
  step3.phase = Phase::step3;
  step3.first = {{"l1", 0.3}, {"total", 0.9}};
  step3.last = {{"l1", 0.2}, {"total", 0.7}};
  fit.history = {step3};
  return fit;
}

Config config_of_side() {
  Config config = preset("default");
  config.size = side;
  return config;
}

// The only warning after a change of the good fit.
std::string warning_after(const std::function<void(FitResult&)>& change) {
  FitResult fit = good_fit();
  change(fit);
  const std::vector<std::string> all = fit_warnings(fit, config_of_side());
  INFO(all.size(), " warnings");
  REQUIRE(all.size() == 1);
  return all[0];
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("warnings: a good fit has none") { CHECK(fit_warnings(good_fit(), config_of_side()).empty()); }

TEST_CASE("warnings: each thing that speaks against a fit is said, and nothing else") {
  CHECK(says(warning_after([](FitResult& f) { f.projection.mse_masked = 0.05; }), "squared error 0.050"));
  CHECK(says(warning_after([](FitResult& f) {
          f.target.mask = plane_of([](double x, double y) { return x * x + y * y < 0.4 || (x > 0.8 && y > 0.5) ? 1.0 : 0.0; });
        }),
             "2 pieces"));
  CHECK(says(warning_after([](FitResult& f) { f.target.mask = plane_of([](double, double) { return 1.0; }); }), "nearly the whole picture"));
  CHECK(says(warning_after([](FitResult& f) { f.depth = plane_of([](double x, double) { return 0.95 + 0.002 * x; }); }), "nearly flat"));
  CHECK(says(warning_after([](FitResult& f) { f.depth = plane_of([](double x, double) { return x > 0 ? 1.0 : 0.9; }); }), "spikes or cliffs"));
  CHECK(says(warning_after([](FitResult& f) { f.valid = plane_of([](double, double) { return 0.0; }); }), "nothing of the object is seen"));
  CHECK(says(warning_after([](FitResult& f) { f.view.mutable_data<float>()[1] = 1.05f; }), "yaw 60 degrees"));
  CHECK(says(warning_after([](FitResult& f) { f.history[0].last = {{"total", 1.0}}; }), "losses worse (0.900 to 1.000)"));
}

TEST_CASE("warnings: a small mask is too little to see a shape in") {
  FitResult fit = good_fit();
  fit.target.mask = plane_of([](double x, double y) { return x * x + y * y < 0.01 ? 1.0 : 0.0; });
  const std::vector<std::string> all = fit_warnings(fit, config_of_side());
  REQUIRE(!all.empty());
  CHECK(says(all[0], "too little"));
}
