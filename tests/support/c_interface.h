// For tests of the C interface: contexts on the device of the tests, arrays of tensors, what a call that fails says.
#pragma once

#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "engine/context.h"
#include "engine/tensor.h"
#include "gan2shape/gan2shape.h"
#include "kernels/isa.h"
#include "tests/cli/program.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/tiny_generator.h"

#define CHECK_OK(status) CHECK_MESSAGE((status) == G2S_OK, std::string(g2s_last_error()))
#define REQUIRE_OK(status) REQUIRE_MESSAGE((status) == G2S_OK, std::string(g2s_last_error()))

namespace g2s::test {

inline void check_fails(g2s_status got, g2s_status want, const std::string& sentence) {
  CHECK(std::string(g2s_status_name(got)) == g2s_status_name(want));
  CHECK(std::string(g2s_last_error()) == sentence);
}

// On the CPU.
inline g2s_array array_of(const Tensor& t) {
  return g2s_array_of(const_cast<void*>(t.raw()), static_cast<g2s_dtype>(t.dtype()), t.rank(), t.shape().begin());
}

class CContext {
 public:
  explicit CContext(g2s_context_options options = usual()) { REQUIRE_OK(g2s_context_new(&options, &handle)); }
  ~CContext() { CHECK_OK(g2s_context_free(handle)); }
  CContext(const CContext&) = delete;
  CContext& operator=(const CContext&) = delete;

  // Two threads, on the device of the tests.
  static g2s_context_options usual() {
    g2s_context_options options;
    g2s_context_options_init(&options);
    options.threads = 2;
    options.device = no_test_device() ? "cpu" : "cuda";
    return options;
  }
  operator g2s_context() const { return handle; }

  g2s_context handle = nullptr;
};

// Other than f32 where the tests' device can do another.
inline const char* other_precision() { return !no_test_device() || kernels::bf16_unit() != kernels::Bf16Unit::none ? "bf16" : "f32"; }

// The same in C++.
inline ContextOptions usual_options() { return {.device = test_device(), .settings = {.threads = 2}}; }

class TinyGenerator {
 public:
  explicit TinyGenerator(g2s_context context) : path_(folder_ / "tiny.safetensors") {
    write_tiny_generator(path_);
    REQUIRE_OK(g2s_generator_load(context, path_.c_str(), &handle));
  }
  ~TinyGenerator() { CHECK_OK(g2s_generator_free(handle)); }
  TinyGenerator(const TinyGenerator&) = delete;
  TinyGenerator& operator=(const TinyGenerator&) = delete;

  operator g2s_generator() const { return handle; }
  const std::string& path() const { return path_; }

  g2s_generator handle = nullptr;

 private:
  TemporaryFolder folder_;
  std::string path_;
};

}  // namespace g2s::test
