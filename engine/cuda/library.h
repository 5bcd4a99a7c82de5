// A shared library that is opened when it is first needed, so that a program starts without it.
#pragma once

#include <dlfcn.h>

#include <initializer_list>
#include <string>

#include "engine/error.h"

namespace g2s::cuda {

// Stays open: what it has registered with the driver lives as long as the process.
class Library {
 public:
  // The first of `files` that can be opened.
  Library(const char* name, std::initializer_list<const char*> files) : name_(name) {
    for (const char* file : files) {
      if ((handle_ = dlopen(file, RTLD_NOW | RTLD_LOCAL)) != nullptr) return;
      const char* reason = dlerror();
      reason_ += str(reason_.empty() ? "" : "; ", file, " cannot be loaded (", reason ? reason : "no reason given", ")");
    }
  }

  // Why it is not there; empty if it is.
  const std::string& unavailable_reason() const { return reason_; }

  void require() const {
    if (!handle_) fail(Errc::unsupported, name_, reason_);
  }

  // Null without the library.
  template <class Function>
  Function find(const char* symbol) const {
    if (!handle_) return nullptr;
    const auto function = reinterpret_cast<Function>(dlsym(handle_, symbol));
    if (!function) fail(Errc::unsupported, name_, "the library has no ", symbol);
    return function;
  }

 private:
  const char* name_;
  void* handle_ = nullptr;
  std::string reason_;
};

// A member of a struct Api that begins with `Library library`: one of the library's functions.
#define G2S_FUNCTION(name, symbol) decltype(&symbol) name = library.find<decltype(&symbol)>(#symbol);

template <class Api>
const Api& loaded() {
  static const Api* const api = new Api;
  return *api;
}

// Throws if the library is not there.
template <class Api>
const Api& required() {
  loaded<Api>().library.require();
  return loaded<Api>();
}

}  // namespace g2s::cuda
