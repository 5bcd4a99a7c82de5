// What the tables of measured algorithms share (conv_choice, conv_cuda_choice, matmul_cuda_choice): an override, a listener, and a row.
#pragma once

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "engine/context.h"
#include "engine/error.h"

namespace g2s::kernels {

// What this thread's settings override a choice with (Settings::overrides), or nothing; throws naming it and the choices.
template <class Choice>
std::optional<Choice> choice_overridden(const char* variable, std::initializer_list<std::pair<const char*, Choice>> choices) {
  const auto& overrides = settings().overrides;
  if (overrides.empty()) return std::nullopt;
  const auto wanted = overrides.find(variable);
  if (wanted == overrides.end()) return std::nullopt;
  std::string names;
  std::size_t left = choices.size();
  for (const auto& [name, choice] : choices) {
    if (wanted->second == name) return choice;
    names += names.empty() ? name : str(left == 1 ? " or " : ", ", name);
    --left;
  }
  fail(Errc::invalid_argument, variable, "must be ", names, ", not ", wanted->second);
}

// Who is told of every problem of a kind that a context computes: for g2s_bench --tune.
template <class Problem>
struct Listener {
  std::mutex mutex;
  std::function<void(const Problem&)> call;
};
template <class Problem>
void listen(std::function<void(const Problem&)> call) {
  Listener<Problem>& listener = Context::current().object<Listener<Problem>>();
  std::lock_guard lock(listener.mutex);
  listener.call = std::move(call);
}
template <class Problem>
void tell_listener(const Problem& problem) {
  Listener<Problem>& listener = Context::current().object<Listener<Problem>>();
  std::lock_guard lock(listener.mutex);
  if (listener.call) listener.call(problem);
}

// The row of a machine and a problem in a table that ascends in both, or null.
template <class Row, class Machine, class Problem>
const Row* find_row(const Row* begin, const Row* end, Machine Row::*of, Machine machine, const Problem& problem) {
  const auto before = [&](const Row& row, const Problem& p) { return row.*of != machine ? row.*of < machine : row.problem < p; };
  const Row* row = std::lower_bound(begin, end, problem, before);
  return row != end && row->*of == machine && row->problem == problem ? row : nullptr;
}

}  // namespace g2s::kernels
