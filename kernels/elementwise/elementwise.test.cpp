#include "kernels/elementwise/elementwise.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "engine/autograd.h"
#include "kernels/elementwise/elementwise_args.h"
#include "kernels/shape/shape.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;
using g2s::test::Case;

TEST_CASE("elementwise: the table of cases") {
  static const std::map<std::string, Tensor (*)(const Tensor&)> plain = {
      {"abs", abs},   {"sign", sign}, {"square", square}, {"sqrt", sqrt}, {"rsqrt", rsqrt},     {"exp", exp},           {"log", log},
      {"sin", sin},   {"cos", cos},   {"tanh", tanh},     {"relu", relu}, {"sigmoid", sigmoid}};
  static const std::map<std::string, Tensor (*)(const Tensor&, const Tensor&)> pairs = {{"add", add}, {"sub", sub}, {"mul", mul}, {"div", div}};
  test::run_cases("elementwise", [](const Case& c, const std::vector<Tensor>& in) {
    if (auto op = plain.find(c.op); op != plain.end()) return op->second(in[0]);
    if (auto op = pairs.find(c.op); op != pairs.end()) return op->second(in[0], in[1]);
    if (c.op == "affine") return affine(in[0], c.number("scale"), c.number("offset"));
    if (c.op == "leaky_relu") return leaky_relu(in[0], c.number("slope"));
    if (c.op == "clamp") return clamp(in[0], c.number("lo"), c.number("hi"));
    if (c.op == "less") return less(in[0], c.number("bound"));
    if (c.op == "greater_equal") return greater_equal(in[0], c.number("bound"));
    fail(Errc::invalid_argument, c.name, "no such operator");
  });
}

TEST_CASE("elementwise: a broadcast of many elements falls into parts that together are it") {
  using namespace kernels;
  std::vector<float> a(5 * 2), b(3 * 2), y(2 * 3 * 5 * 2);
  const BinaryArgs whole{BinaryOp::add, false, a.data(), b.data(), y.data(), 1, 0, 4, {2, 5, 3, 2}, {1, 2, 0, 0}, {1, 0, 2, 0}};
  for (std::int64_t most : {1000, 60, 59, 30, 29, 10, 9, 1}) {
    std::vector<int> visits(y.size());
    in_parts(whole, most, [&](const BinaryArgs& g) {
      CHECK((g.rank == 1 || elements_of(g) <= most));
      for (std::int64_t i = 0; i < elements_of(g); ++i) {
        std::int64_t rest = i, at_a = 0, at_b = 0;
        for (int d = 0; d < g.rank; rest /= g.size[d++]) at_a += rest % g.size[d] * g.a_stride[d], at_b += rest % g.size[d] * g.b_stride[d];
        const std::int64_t place = static_cast<float*>(g.y) + i - y.data();
        CHECK(static_cast<const float*>(g.a) + at_a == &a[static_cast<std::size_t>(place % 10)]);
        CHECK(static_cast<const float*>(g.b) + at_b == &b[static_cast<std::size_t>(place / 10 % 3 * 2 + place % 2)]);
        ++visits[static_cast<std::size_t>(place)];
      }
    });
    CHECK(visits == std::vector<int>(y.size(), 1));
  }
}

namespace {

using Unary = Tensor (*)(const Tensor&);

// The error of f32 in units in the last place of the true value, the worst over `x`. Results below the normal range count in units of its end.
double worst_ulp(Unary op, double (*exact)(double), const std::vector<float>& x) {
  std::vector<float> got = op(Tensor::from(x)).to_vector<float>();
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    double want = exact(x[i]);
    if (std::isinf(static_cast<float>(want)) && got[i] == static_cast<float>(want)) continue;
    double unit = std::ldexp(1.0, std::max(std::ilogb(want), -126) - 23);
    worst = std::max(worst, std::abs(got[i] - want) / unit);
    if (!(worst < 1e6)) return worst;
  }
  return worst;
}

// Evenly spaced between bounds, and all magnitudes.
std::vector<float> arguments(double lo, double hi) {
  std::vector<float> x;
  for (int i = 0; i <= 200000; ++i) x.push_back(static_cast<float>(lo + (hi - lo) * i / 200000));
  for (double v = 1e-45; v < std::max(hi, -lo); v *= 1.01) {
    if (v < hi) x.push_back(static_cast<float>(v));
    if (-v > lo) x.push_back(static_cast<float>(-v));
  }
  return x;
}

double exact_sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double exact_rsqrt(double x) { return 1 / std::sqrt(x); }

}  // namespace

TEST_CASE("elementwise: f32 functions are within two units in the last place, sigmoid within two and a half") {
  CHECK(worst_ulp(exp, std::exp, arguments(-104, 89)) < 2);
  CHECK(worst_ulp(log, std::log, arguments(1e-45, 4)) < 2);
  CHECK(worst_ulp(log, std::log, arguments(1e-45, 3e38)) < 2);
  CHECK(worst_ulp(sin, std::sin, arguments(-30, 30)) < 2);
  CHECK(worst_ulp(sin, std::sin, arguments(-20000, 20000)) < 2);
  CHECK(worst_ulp(sin, std::sin, arguments(-3e38, 3e38)) < 2);
  CHECK(worst_ulp(cos, std::cos, arguments(-30, 30)) < 2);
  CHECK(worst_ulp(cos, std::cos, arguments(-20000, 20000)) < 2);
  CHECK(worst_ulp(tanh, std::tanh, arguments(-12, 12)) < 2);
  CHECK(worst_ulp(sigmoid, exact_sigmoid, arguments(-100, 40)) < 2.5);
  CHECK(worst_ulp(rsqrt, exact_rsqrt, arguments(1e-38, 10)) < 1.5);
}

TEST_CASE("elementwise: special values") {
  const float inf = INFINITY, nan = NAN, big = 3e38f, tiny = 1e-45f;
  auto is = [](Tensor t, std::vector<float> want) {
    for (std::int64_t i = 0; i < t.numel(); ++i) {
      float got = t.data<float>()[i], w = want[static_cast<std::size_t>(i)];
      CAPTURE(i);
      CAPTURE(got);
      CHECK((got == w || (std::isnan(got) && std::isnan(w))));
    }
  };
  Tensor x = Tensor::from<float>({0, -0.0f, inf, -inf, nan, big, -big, tiny});
  is(exp(x), {1, 1, inf, 0, nan, inf, 0, 1});
  is(log(x), {-inf, -inf, inf, nan, nan, std::log(big), nan, std::log(tiny)});
  is(tanh(x), {0, 0, 1, -1, nan, 1, -1, tiny});
  is(sigmoid(x), {0.5f, 0.5f, 1, 0, nan, 1, 0, 0.5f});
  is(sin(Tensor::from<float>({0, inf, -inf, nan})), {0, nan, nan, nan});
  is(cos(Tensor::from<float>({0, inf, -inf, nan})), {1, nan, nan, nan});
  is(relu(x), {0, 0, inf, 0, nan, big, 0, tiny});
  is(leaky_relu(x, 0.5), {0, 0, inf, -inf, nan, big, -big / 2, tiny});
  is(clamp(x, -1, 2), {0, 0, 2, -1, nan, 2, -1, tiny});
  is(clamp(x, 0), {0, 0, inf, 0, nan, big, 0, tiny});
  is(abs(x), {0, 0, inf, inf, nan, big, big, tiny});
  is(sign(x), {0, 0, 1, -1, nan, 1, -1, 1});
  is(less(x, 0), {0, 0, 0, 1, 0, 0, 1, 0});
  is(greater_equal(x, 0), {1, 1, 1, 0, 0, 1, 0, 1});
  CHECK(std::signbit(tanh(x).data<float>()[1]));
  CHECK(!std::signbit(abs(x).data<float>()[1]));
}

TEST_CASE("elementwise: derivatives at the kinks") {
  auto slope_at = [](const std::function<Tensor(const Tensor&)>& f, float at) {
    Tensor x = Tensor::from<float>({at}).set_requires_grad();
    return grad({f(x)}, {x})[0].item();
  };
  CHECK(slope_at([](const Tensor& x) { return abs(x); }, 0) == 0);
  CHECK(slope_at([](const Tensor& x) { return relu(x); }, 0) == 0);
  CHECK(slope_at([](const Tensor& x) { return leaky_relu(x, 0.25); }, 0) == 0.25);
  CHECK(slope_at([](const Tensor& x) { return clamp(x, -1, 1); }, 1) == 1);
  CHECK(slope_at([](const Tensor& x) { return clamp(x, -1, 1); }, -1) == 1);
  CHECK(slope_at([](const Tensor& x) { return clamp(x, -1, 1); }, 1.5f) == 0);
  Tensor x = Tensor::from<float>({1}).set_requires_grad();
  CHECK(!less(x, 2).requires_grad());
  CHECK(!greater_equal(x, 2).requires_grad());
  CHECK(grad({sign(x)}, {x})[0].item() == 0);
}

TEST_CASE("elementwise: a result does not depend on its place") {
  const std::int64_t n = 70001;
  Tensor x = test::hashed_input("place", {n}, DType::f32, 5, 0), positive = abs(x) + 0.01;
  const std::pair<Unary, bool> functions[] = {{exp, false},  {log, true},      {sin, false},      {cos, false}, {tanh, false},
                                              {sqrt, true},  {rsqrt, true},    {sigmoid, false}};
  for (auto [f, needs_positive] : functions) {
    const Tensor& from = needs_positive ? positive : x;
    Tensor all = f(from);
    for (std::int64_t begin : {1, 3, 17, 8191, 32767, 69999}) {
      std::int64_t end = std::min(begin + 37, n);
      CHECK(test::same_bits(f(slice(from, 0, begin, end)), slice(all, 0, begin, end)));
    }
  }
  Tensor b = test::hashed_input("place/b", {n});
  Tensor fused = x * b, scaled = affine(x, 1.7, 0.3);
  for (std::int64_t begin : {1, 5, 32760, 69990}) {
    std::int64_t end = std::min(begin + 19, n);
    CHECK(test::same_bits(slice(x, 0, begin, end) * slice(b, 0, begin, end), slice(fused, 0, begin, end)));
    CHECK(test::same_bits(affine(slice(x, 0, begin, end), 1.7, 0.3), slice(scaled, 0, begin, end)));
  }
}

TEST_CASE("elementwise: every pair of broadcasting patterns of three axes") {
  // Against plain loops; with sizes on both sides of what is expanded and what is not.
  for (std::int64_t inner : {1, 2, 3, 4, 5, 63, 64, 65}) {
    for (int pattern = 0; pattern < 64; ++pattern) {
      Shape full{3, 7, inner}, a_shape = full, b_shape = full;
      for (int d = 0; d < 3; ++d) {
        if (pattern >> d & 1) a_shape[d] = 1;
        if (pattern >> (d + 3) & 1) b_shape[d] = 1;
      }
      Tensor a = test::hashed_input("a", a_shape), b = test::hashed_input("b", b_shape), y = a * b;
      int wrong = 0;
      for (std::int64_t i = 0, at = 0; i < y.dim(0); ++i)
        for (std::int64_t j = 0; j < y.dim(1); ++j)
          for (std::int64_t k = 0; k < y.dim(2); ++k, ++at) {
            auto pick = [&](const Tensor& t) {
              return t.data<float>()[((t.dim(0) > 1 ? i : 0) * t.dim(1) + (t.dim(1) > 1 ? j : 0)) * t.dim(2) + (t.dim(2) > 1 ? k : 0)];
            };
            wrong += y.data<float>()[at] != pick(a) * pick(b);
          }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("elementwise: empty tensors, and operators with numbers") {
  CHECK(add(Tensor::zeros({0, 3}), Tensor::zeros({3})).shape() == Shape{0, 3});
  CHECK(exp(Tensor::zeros({2, 0})).numel() == 0);
  Tensor x = Tensor::from<float>({1, 2, 4});
  CHECK((x + 1.0).to_vector<float>() == std::vector<float>{2, 3, 5});
  CHECK((x - 1.0).to_vector<float>() == std::vector<float>{0, 1, 3});
  CHECK((1.0 - x).to_vector<float>() == std::vector<float>{0, -1, -3});
  CHECK((x / 2.0).to_vector<float>() == std::vector<float>{0.5, 1, 2});
  CHECK((-x).to_vector<float>() == std::vector<float>{-1, -2, -4});
}

TEST_CASE("elementwise: errors name the operator and the shapes") {
  Tensor a = Tensor::zeros({2, 3}), b = Tensor::zeros({4}), d = Tensor::zeros({2, 3}, DType::f64), i = Tensor::zeros({2}, DType::i32);
  CHECK_THROWS_WITH(add(a, b), "add: shapes [2,3] and [4] do not broadcast");
  CHECK_THROWS_WITH(mul(a, d), "mul: needs two tensors of the same dtype, f32 or f64, got f32 [2,3] and f64 [2,3]");
  CHECK_THROWS_WITH(div(i, i), "div: needs two tensors of the same dtype, f32 or f64, got i32 [2] and i32 [2]");
  CHECK_THROWS_WITH(exp(i), "exp: needs f32 or f64, got i32 [2]");
  CHECK_THROWS_WITH(clamp(a, 1, 0), "clamp: bounds 1 and 0 (x f32 [2,3])");
  CHECK_THROWS_WITH(leaky_relu(a, -1), "leaky_relu: slope -1 is negative (x f32 [2,3])");
  CHECK_THROWS_AS(add(a, {}), Error);
}
