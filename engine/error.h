// Errors: one exception type for the whole library. Library code never exits, aborts or prints.
#pragma once

#include <exception>
#include <sstream>
#include <string>
#include <utility>

#include "engine/export.h"

namespace g2s G2S_EXPORTED {

enum class Errc {
  invalid_argument,  // a value outside what an operator or setting accepts
  shape_mismatch,    // shapes or dtypes that do not fit together
  io,                // a file or folder could not be read or written
  format,            // a file was read but its content is not what it should be
  unsupported,       // valid, but not available in this build or on this device
  out_of_memory,
  cancelled,  // the user asked to stop
  internal,   // a broken invariant of ours
};

const char* to_string(Errc code);

// what() is "op: message". `op` is the operator, tensor, file or setting at fault.
class Error : public std::exception {
 public:
  Error(Errc code, std::string op, std::string message);
  Errc code() const { return code_; }
  const std::string& op() const { return op_; }
  const std::string& message() const { return message_; }
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  Errc code_;
  std::string op_, message_, what_;
};

// Concatenates everything that can be streamed.
template <class... Parts>
std::string str(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return std::move(out).str();
}

template <class... Parts>
[[noreturn]] void fail(Errc code, const std::string& op, const Parts&... parts) {
  throw Error(code, op, str(parts...));
}

// Throws shape_mismatch naming the operator unless `ok`.
template <class... Parts>
void check(bool ok, const char* op, const Parts&... parts) {
  if (!ok) [[unlikely]] fail(Errc::shape_mismatch, op, parts...);
}

}  // namespace g2s
