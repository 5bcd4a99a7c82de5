#include "models/gan2shape/linear_solve.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"

namespace g2s {
namespace {

constexpr double least_pivot = 1e-14;  // in parts of the largest number

// A row-major matrix.
struct Rows {
  std::vector<double>& values;
  std::size_t columns;

  double& at(std::size_t i, std::size_t j) { return values[i * columns + j]; }
  void swap(std::size_t i, std::size_t k) {
    for (std::size_t j = 0; j < columns; ++j) std::swap(at(i, j), at(k, j));
  }
  // Row i minus f times row k, from a column on.
  void subtract(std::size_t i, double f, std::size_t k, std::size_t first) {
    for (std::size_t j = first; j < columns; ++j) at(i, j) -= f * at(k, j);
  }
};

double largest(const std::vector<double>& values) {
  double most = 0;
  for (double v : values) most = std::max(most, std::abs(v));
  return most;
}

}  // namespace

bool solve_linear(std::vector<double>& a_values, std::vector<double>& b_values, std::size_t columns) {
  check(columns > 0 && b_values.size() % columns == 0, "solve_linear", b_values.size(), " numbers in ", columns, " columns");
  const std::size_t n = b_values.size() / columns;
  check(a_values.size() == n * n, "solve_linear", "a has ", a_values.size(), " numbers, b ", n, " rows");
  const double least = least_pivot * largest(a_values);
  Rows a{a_values, n}, b{b_values, columns};
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k + 1; i < n; ++i)
      if (std::abs(a.at(i, k)) > std::abs(a.at(pivot, k))) pivot = i;
    if (!(std::abs(a.at(pivot, k)) > least)) return false;
    if (pivot != k) {
      a.swap(k, pivot);
      b.swap(k, pivot);
    }
    for (std::size_t i = k + 1; i < n; ++i) {
      const double f = a.at(i, k) / a.at(k, k);
      if (f == 0) continue;
      a.subtract(i, f, k, k);
      b.subtract(i, f, k, 0);
    }
  }
  for (std::size_t k = n; k-- > 0;) {
    for (std::size_t j = k + 1; j < n; ++j) b.subtract(k, a.at(k, j), j, 0);
    for (std::size_t c = 0; c < columns; ++c) b.at(k, c) /= a.at(k, k);
  }
  return true;
}

}  // namespace g2s
