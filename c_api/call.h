// Every function of the C interface that can fail runs its body in call(): what the body throws becomes a status, and the sentence that
// g2s_last_error() gives in this thread.
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include "engine/error.h"
#include "gan2shape/gan2shape.h"

namespace g2s::capi {

// The object is in use by another thread (G2S_BUSY).
class Busy : public std::exception {
 public:
  explicit Busy(std::string what) : what_(std::move(what)) {}
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  std::string what_;
};

// Of the exception that is being handled. Keeps its sentence for g2s_last_error().
g2s_status keep_error() noexcept;

template <class Body>
g2s_status call(Body&& body) noexcept {
  try {
    body();
    return G2S_OK;
  } catch (...) {
    return keep_error();
  }
}

// A pointer of the caller's that must not be null.
template <class T>
T& required(T* pointer, const char* argument) {
  if (!pointer) fail(Errc::invalid_argument, argument, "is null");
  return *pointer;
}

// A handle that a call is to give: 0 until it has one, so that it is 0 after a failure.
template <class Handle>
Handle& output(Handle* handle, const char* argument) {
  required(handle, argument) = nullptr;
  return *handle;
}

// A text of the library's for the caller, valid until the next keep_text() in this thread; cut where it is too long.
const char* keep_text(std::string_view text) noexcept;

}  // namespace g2s::capi
