// The checks of the operators, checked: each must find its own kind of defect.
#include "tests/support/cases.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "engine/autograd.h"
#include "engine/parallel.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

enum class Defect { none, value, f32_only, last_element, gradient, second, no_second, threads, unread, throws };

Defect defect = Defect::none;

template <class T> void multiply(const Tensor& a, const Tensor& b, double factor, Tensor& y) {
  double wrong = factor;
  if (defect == Defect::value || (defect == Defect::f32_only && std::is_same_v<T, float>)) wrong *= 1 + 1e-4;
  if (defect == Defect::threads) wrong *= 1 + 1e-7 * (num_threads() - 1);
  const T *p = a.data<T>(), *q = b.data<T>();
  T* out = y.mutable_data<T>();
  for (std::int64_t i = 0, n = y.numel(); i < n; ++i) out[i] = static_cast<T>(wrong * p[i] * q[i]);
  if (defect == Defect::last_element) y.mutable_data<T>()[y.numel() - 1] *= static_cast<T>(1.01);
}

// factor a b, elementwise, differentiable to any order.
Tensor product(const Tensor& a, const Tensor& b, double factor, int depth = 0) {
  Tensor y = Tensor::empty(a.shape(), a.dtype());
  if (a.dtype() == DType::f32) multiply<float>(a, b, factor, y);
  else multiply<double>(a, b, factor, y);
  return record(y, "product", {a, b}, [a, b, factor, depth](const BackwardArgs& args) -> std::vector<Tensor> {
    double wrong = (defect == Defect::gradient && depth == 0) || (defect == Defect::second && depth == 1) ? factor * 1.001 : factor;
    Tensor da = product(args.dy, b, wrong, depth + 1), db = product(args.dy, a, wrong, depth + 1);
    if (defect == Defect::no_second)
      return {no_second_derivative(da.detach(), "product", {args.dy, b}), no_second_derivative(db.detach(), "product", {args.dy, a})};
    return {da, db};
  });
}

Tensor cubic(const Case& c, const std::vector<Tensor>& in) {
  if (defect == Defect::throws) fail(Errc::internal, "cubic", "broken");
  double factor = defect == Defect::unread ? 1.5 : c.number("factor", 1);
  return product(in[0], product(in[0], in[1].defined() ? in[1] : in[0], 1), factor);
}

CaseReport with(Defect d) {
  defect = d;
  CaseReport report = check_cases("tests/support/toy", cubic);
  defect = Defect::none;
  return report;
}

bool mentions(const CaseReport& report, const std::string& text) {
  return std::any_of(report.failures.begin(), report.failures.end(),
                     [&](const std::string& line) { return line.find(text) != std::string::npos; });
}

}  // namespace

TEST_CASE("a sound operator passes its cases") {
  run_cases("tests/support/toy", cubic);
  CHECK(with(Defect::none).checks > 100);
}

TEST_CASE("every kind of defect is found") {
  CHECK(mentions(with(Defect::value), "small/out: f64 against golden"));
  CHECK(mentions(with(Defect::value), "large/out: f64 against golden"));
  CHECK(mentions(with(Defect::f32_only), "small/out: f32 against golden"));
  CHECK(mentions(with(Defect::f32_only), "large/out: f32 against f64"));
  CHECK(mentions(with(Defect::last_element), "large/out: f64 against golden"));
  CHECK(mentions(with(Defect::gradient), "small/grad1: f64 against golden"));
  CHECK(mentions(with(Defect::gradient), "large/gradcheck"));
  CHECK(mentions(with(Defect::second), "small/second0: f64 against golden"));
  CHECK(!mentions(with(Defect::second), "small/grad0: f32 against golden"));
  CHECK(mentions(with(Defect::no_second), "has no second derivative"));
  CHECK(mentions(with(Defect::threads), "small/out: f32 bits differ between 1 and 8 threads"));
  CHECK(mentions(with(Defect::threads), "large/grad0: f64 bits differ between 1 and 2 threads"));
  CHECK(mentions(with(Defect::unread), "the test never reads \"factor\""));
  CHECK(mentions(with(Defect::throws), "cubic: broken"));
}

TEST_CASE("a family without golden values fails and says how to make them") {
  CHECK(mentions(check_cases("tests/support/no_such_family", cubic), "run tests/oracle/make_goldens.py tests/support/no_such_family"));
}

TEST_CASE("rel_error does not hide what is wrong") {
  Tensor one = Tensor::from<float>({1, 2}), nan = Tensor::from<float>({1, std::nanf("")}), zero = Tensor::zeros({2});
  CHECK(rel_error(one, one) == 0);
  CHECK(rel_error(zero, zero) == 0);
  CHECK(!(rel_error(nan, one) <= 1e9));
  CHECK(!(rel_error(nan, nan) <= 1e9));
  CHECK(!(rel_error(one, zero) <= 1e9));
  CHECK(!(rel_error(one, one.reshape({1, 2})) <= 1e9));
  CHECK(!(rel_error(Tensor{}, one) <= 1e9));
  CHECK(rel_error(Tensor::from<float>({1, 2.002f}), one) == doctest::Approx(0.002 / std::sqrt(5)).epsilon(1e-3));
}

TEST_CASE("gradcheck along directions finds a wrong gradient") {
  Tensor x = hashed_input("x", {40}, DType::f64), y = hashed_input("y", {40}, DType::f64);
  auto fn = [](const std::vector<Tensor>& in) { return product(in[0], product(in[0], in[1], 2), 1); };
  CHECK(gradcheck(fn, {x, y}, {.directions = 3}) < 1e-6);
  CHECK(gradcheck(fn, {x, y}) < 1e-6);
  defect = Defect::gradient;
  CHECK(gradcheck(fn, {x, y}, {.directions = 3}) > 1e-4);
  CHECK(gradcheck(fn, {x, y}) > 1e-4);
  defect = Defect::none;
}
