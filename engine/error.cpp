#include "engine/error.h"

namespace g2s {

const char* to_string(Errc code) {
  switch (code) {
    case Errc::invalid_argument: return "invalid argument";
    case Errc::shape_mismatch: return "shape mismatch";
    case Errc::io: return "input/output";
    case Errc::format: return "format";
    case Errc::unsupported: return "unsupported";
    case Errc::out_of_memory: return "out of memory";
    case Errc::cancelled: return "cancelled";
    case Errc::internal: return "internal";
  }
  return "unknown";
}

Error::Error(Errc code, std::string op, std::string message)
    : code_(code), op_(std::move(op)), message_(std::move(message)), what_(op_ + ": " + message_) {}

}  // namespace g2s
