#include "engine/cuda/algorithm.h"

#include <charconv>

#include "engine/error.h"

namespace g2s::cuda {
namespace {

// Reads a number at `at`, and the character `after` behind it unless that is 0.
bool read(const char*& at, const char* end, std::int64_t& number, char after) {
  const auto [next, error] = std::from_chars(at, end, number);
  if (error != std::errc() || (after && (next == end || *next != after))) return false;
  at = after ? next + 1 : next;
  return true;
}

}  // namespace

std::string to_string(const Algorithm& algorithm) {
  std::string text = std::to_string(algorithm.index);
  char before = ':';
  for (const auto& [knob, value] : algorithm.knobs) {
    text += str(before, knob, '=', value);
    before = ',';
  }
  return text;
}

Algorithm algorithm_from(const std::string& text) {
  Algorithm algorithm;
  const char *at = text.data(), *end = at + text.size();
  bool right = read(at, end, algorithm.index, 0);
  for (char before = ':'; right && at != end; before = ',') {
    auto& [knob, value] = algorithm.knobs.emplace_back();
    right = *at++ == before && read(at, end, knob, '=') && read(at, end, value, 0);
  }
  if (!right) fail(Errc::invalid_argument, "algorithm", "'", text, "' names none");
  return algorithm;
}

}  // namespace g2s::cuda
