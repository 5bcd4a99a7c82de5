#include "models/gan2shape/linear_solve.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "kernels/random/random.h"

using namespace g2s;

namespace {

std::vector<double> random_numbers(const char* name, std::size_t rows, std::size_t columns) {
  const Shape shape{static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns)};
  return Random(1, name).normal(shape, 0, 1, DType::f64).to_vector<double>();
}

// The largest difference between a x and b.
double left_over(const std::vector<double>& a, const std::vector<double>& x, const std::vector<double>& b, std::size_t columns) {
  const std::size_t n = b.size() / columns;
  double most = 0;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t c = 0; c < columns; ++c) {
      double sum = -b[i * columns + c];
      for (std::size_t j = 0; j < n; ++j) sum += a[i * n + j] * x[j * columns + c];
      most = std::max(most, std::abs(sum));
    }
  return most;
}

}  // namespace

TEST_CASE("linear equations: several right-hand sides at once, in any units") {
  constexpr std::size_t n = 20, columns = 3;
  for (double unit : {1.0, 1e-20, 1e20}) {
    INFO(unit);
    std::vector<double> a = random_numbers("a", n, n), x = random_numbers("b", n, columns);
    for (double& v : a) v *= unit;
    for (double& v : x) v *= unit;
    const std::vector<double> a_before = a, b = x;
    REQUIRE(solve_linear(a, x, columns));
    CHECK(left_over(a_before, x, b, columns) < 1e-12 * unit);
  }
}

TEST_CASE("linear equations: each right-hand side has the solution that it has alone") {
  constexpr std::size_t n = 6, columns = 2;
  const std::vector<double> a = random_numbers("a", n, n), b = random_numbers("b", n, columns);
  std::vector<double> used = a, together = b;
  REQUIRE(solve_linear(used, together, columns));
  for (std::size_t c = 0; c < columns; ++c) {
    std::vector<double> alone;
    for (std::size_t i = 0; i < n; ++i) alone.push_back(b[i * columns + c]);
    used = a;
    REQUIRE(solve_linear(used, alone));
    for (std::size_t i = 0; i < n; ++i) CHECK(alone[i] == together[i * columns + c]);
  }
}

TEST_CASE("linear equations: rows are exchanged where a pivot is zero") {
  std::vector<double> a = {0, 2, 4, 0}, b = {6, 8};
  REQUIRE(solve_linear(a, b));
  CHECK(b == std::vector<double>{2, 3});
}

TEST_CASE("linear equations: without one solution, and of sizes that do not fit") {
  std::vector<double> same = {1, 2, 2, 4}, zero(4, 0.0), b = {1, 2};
  CHECK_FALSE(solve_linear(same, b));
  CHECK_FALSE(solve_linear(zero, b));
  std::vector<double> a(9, 1.0);
  CHECK_THROWS_WITH_AS(solve_linear(a, b), "solve_linear: a has 9 numbers, b 2 rows", Error);
}
