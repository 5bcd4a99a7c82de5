// One of the algorithms of a vendor's library, and how it is set: what a table names.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace g2s::cuda {

struct Algorithm {
  std::int64_t index = 0;
  std::vector<std::pair<std::int64_t, std::int64_t>> knobs;  // number of the knob, value
  auto operator<=>(const Algorithm&) const = default;
};

std::string to_string(const Algorithm& algorithm);      // 41, or 41:5=2,12=0
Algorithm algorithm_from(const std::string& text);  // throws unless the text is one

}  // namespace g2s::cuda
