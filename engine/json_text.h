// JSON as text.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace g2s {

// Bytes that are no UTF-8, as names of files may have, become U+FFFD: a result is never lost for a name. `indent` < 0: one line.
inline std::string json_text(const nlohmann::json& value, int indent = 2) {
  return value.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace g2s
