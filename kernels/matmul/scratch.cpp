#include "engine/allocator.h"
#include "kernels/matmul/gemm_args.h"

namespace g2s::kernels {
namespace {

struct Scratch {
  float* data = nullptr;
  std::size_t bytes = 0;
  ~Scratch() { allocator({}).release(data, bytes); }
};

}  // namespace

float* thread_scratch(std::int64_t floats) {
  thread_local Scratch scratch;
  const std::size_t bytes = static_cast<std::size_t>(floats) * sizeof(float);
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
