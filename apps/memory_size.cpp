#include "apps/memory_size.h"

#include <charconv>
#include <utility>

#include "engine/error.h"

namespace g2s::app {

std::size_t memory_size_from(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string unit(end, text.data() + text.size());
  double factor = 0;
  if (unit.empty() || unit == "B") factor = 1;
  for (const auto& [letter, size] : {std::pair{'K', 1024.0}, {'M', 1048576.0}, {'G', 1073741824.0}})
    if (unit == std::string(1, letter) || unit == std::string(1, letter) + "B" || unit == std::string(1, letter) + "iB") factor = size;
  if (error != std::errc() || factor == 0 || !(value > 0 && value * factor < 1e18))
    fail(Errc::invalid_argument, "memory_limit", "'", text, "' is not a size such as 2G or 1500M");
  return static_cast<std::size_t>(value * factor);
}

}  // namespace g2s::app
