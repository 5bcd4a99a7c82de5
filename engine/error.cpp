#include "engine/error.h"

#include "engine/names.h"

namespace g2s {

const char* to_string(Errc code) {
  return name_of(code, {"invalid argument", "shape mismatch", "input/output", "format", "unsupported", "out of memory", "cancelled", "internal"});
}

Error::Error(Errc code, std::string op, std::string message)
    : code_(code), op_(std::move(op)), message_(std::move(message)), what_(op_ + ": " + message_) {}

}  // namespace g2s
