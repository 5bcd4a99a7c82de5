#include <algorithm>

#include "engine/allocator.h"
#include "engine/context.h"
#include "kernels/matmul/gemm_args.h"

namespace g2s::kernels {
namespace {

constexpr std::size_t least_bytes = std::size_t{2} << 20;  // what the allocator lays on a huge page

struct Scratch {
  float* data = nullptr;
  std::size_t bytes = 0;
  ~Scratch() { allocator({}).release(data, bytes); }
};

}  // namespace

float* thread_scratch(std::int64_t floats) {
  Scratch& scratch = thread_object<Scratch>();
  const std::size_t bytes = std::max(static_cast<std::size_t>(floats) * sizeof(float), least_bytes);
  if (bytes > scratch.bytes) {
    allocator({}).release(scratch.data, scratch.bytes);
    scratch.data = nullptr;
    scratch.bytes = 0;
    scratch.data = static_cast<float*>(allocator({}).allocate(bytes));
    scratch.bytes = bytes;
  }
  return scratch.data;
}

}  // namespace g2s::kernels
