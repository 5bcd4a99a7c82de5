// Convolutions by cuDNN (engine/cuda/dnn.cu), which is loaded when it is first asked for. In the emulator the CPU answers (engine/simt/dnn.cpp).
// Descriptions are in cuDNN's terms: dimensions [N, C, H, W] of images, [O, C, H, W] of weights, wherever their strides put them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/cuda/algorithm.h"

namespace g2s::cuda::dnn {

enum class Type : std::int32_t { f32, bf16 };
enum class Operation : std::int32_t { forward, data, filter };  // what is computed: y, the gradient to x, the gradient to w

struct Layout {
  Type type;
  std::int64_t dims[4], strides[4];  // elements
  std::int64_t alignment;            // of the pointer, bytes
  auto operator<=>(const Layout&) const = default;
};

// Sums are f32, and so is what is computed.
struct Convolution {
  Operation operation;
  Layout x, w, y;
  std::int64_t pad[2], stride[2], dilation[2];
  bool tensor_cores;  // f32 factors may be rounded to tf32
  auto operator<=>(const Convolution&) const = default;

  Layout& result() { return operation == Operation::forward ? y : operation == Operation::data ? x : w; }
  const Layout& result() const { return const_cast<Convolution*>(this)->result(); }
};

class ExecutionPlan {
 public:
  virtual ~ExecutionPlan() = default;
  virtual std::size_t workspace() const = 0;  // bytes
  // On the stream of this thread; returns at once. One of the three is written.
  virtual void run(const void* x, const void* w, const void* y, void* workspace) const = 0;
};

// Why there is no cuDNN: the program was built without it, or its library is not on this machine. Empty if there is.
__attribute__((weak)) std::string unavailable_reason();
__attribute__((weak)) std::int64_t version();  // of the library, 91900 for 9.19.0
// Those that compute `c` always with the same bits and round no more than it allows, what cuDNN's heuristics deem fastest first.
__attribute__((weak)) std::vector<Algorithm> engines(const Convolution& c);
// Null if this library has no such engine for it, or one that is not always the same or rounds more than allowed.
__attribute__((weak)) std::unique_ptr<ExecutionPlan> plan(const Convolution& c, const Algorithm& engine);
// In this context all is made from now on for a device of these properties (JSON as cuDNN writes it), which need not exist: nothing can be run. Empty ends this.
__attribute__((weak)) void use_properties(const std::string& json);

}  // namespace g2s::cuda::dnn
