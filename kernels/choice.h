// What the tables of measured algorithms share (conv_choice, conv_cuda_choice, matmul_cuda_choice): a wish from the environment, and a row.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>

#include "engine/error.h"

namespace g2s::kernels {

// What the environment variable names, or nothing if it is not set or empty; throws naming it and the choices.
template <class Choice>
std::optional<Choice> choice_from_environment(const char* variable, std::initializer_list<std::pair<const char*, Choice>> choices) {
  const char* wanted = std::getenv(variable);
  if (!wanted || !*wanted) return std::nullopt;
  std::string names;
  std::size_t left = choices.size();
  for (const auto& [name, choice] : choices) {
    if (std::strcmp(wanted, name) == 0) return choice;
    names += names.empty() ? name : str(left == 1 ? " or " : ", ", name);
    --left;
  }
  fail(Errc::invalid_argument, variable, "must be ", names, ", not ", wanted);
}

// The row of a machine and a problem in a table that ascends in both, or null.
template <class Row, class Machine, class Problem>
const Row* find_row(const Row* begin, const Row* end, Machine Row::*of, Machine machine, const Problem& problem) {
  const auto before = [&](const Row& row, const Problem& p) { return row.*of != machine ? row.*of < machine : row.problem < p; };
  const Row* row = std::lower_bound(begin, end, problem, before);
  return row != end && row->*of == machine && row->problem == problem ? row : nullptr;
}

}  // namespace g2s::kernels
