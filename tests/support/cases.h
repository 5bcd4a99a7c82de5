// One table of cases per operator family, kernels/<family>/cases.json, drives all that is checked of an operator.
// docs/adding_an_op.md describes the table.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace g2s::test {

struct CaseInput {
  bool defined = true;  // false: `null` in the table, an optional input left out
  Shape shape;
  double scale = 1, offset = 0, margin = 0;
  std::vector<double> away;    // values nearer than margin to one of these are pushed away from it
  std::vector<double> values;  // given instead of hashed ones
};

struct Case {
  std::string name, op;
  std::vector<CaseInput> inputs;
  std::vector<int> grad;  // inputs that have a gradient
  bool second = false;    // compare second derivatives
  bool gradcheck = false;
  double step = 1e-5;  // of the gradient check
  double tol_forward = 1e-5, tol_grad = 1e-4, tol_f64 = 1e-10, tol_gradcheck = 1e-6;
  std::shared_ptr<const nlohmann::json> attrs, source;

  // Attributes. Without a fallback they must be there; each attribute of the table must be read by the test.
  bool has(const std::string& key) const;
  std::int64_t integer(const std::string& key) const;
  std::int64_t integer(const std::string& key, std::int64_t fallback) const { return has(key) ? integer(key) : fallback; }
  double number(const std::string& key) const;
  double number(const std::string& key, double fallback) const { return has(key) ? number(key) : fallback; }
  std::string text(const std::string& key) const;
  std::string text(const std::string& key, const std::string& fallback) const { return has(key) ? text(key) : fallback; }
  bool boolean(const std::string& key) const;
  bool boolean(const std::string& key, bool fallback) const { return has(key) ? boolean(key) : fallback; }
  std::vector<std::int64_t> integers(const std::string& key) const;
  std::vector<double> numbers(const std::string& key) const;

  const nlohmann::json& at(const std::string& key) const;  // anything else; include <nlohmann/json.hpp> to look into it
  mutable std::set<std::string> read;
};

using CaseFunction = std::function<Tensor(const Case&, const std::vector<Tensor>&)>;

// Every case of kernels/<family>/cases.json (with G2S_CASE=TEXT,OTHER in the environment those with one of these in their name), through `fn`:
// f64 and f32 against kernels/<family>/golden.safetensors and each other: output, gradients, second derivatives; central differences in
// f64; the same bits at 1, 2, 3 and 8 threads.
void run_cases(const std::string& family, const CaseFunction& fn);

struct CaseReport {
  int checks = 0;
  std::vector<std::string> failures;
};
// The same without telling doctest. A family with a slash in its name is a folder of the repository.
CaseReport check_cases(const std::string& family, const CaseFunction& fn);

// The table itself, and the inputs of a case as run_cases makes them: for benchmarks and tests of their own.
std::vector<Case> read_cases(const std::string& family);
std::vector<Tensor> case_inputs(const std::string& family, const Case& c, DType dtype);

// Where tables of cases run: the CPU, unless G2S_TEST_DEVICE says otherwise.
Device test_device();
// For `* doctest::skip(no_test_device())` of test cases that only compare a device with the CPU.
bool no_test_device();

}  // namespace g2s::test
