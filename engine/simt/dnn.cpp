// cuDNN as the emulator has it: descriptions are checked as strictly as the library would, and the CPU computes, from the strides alone.
#include "engine/cuda/dnn.h"

#include <cstdlib>
#include <cstring>

#include "engine/cuda/launch.cuh"
#include "engine/error.h"
#include "engine/types.h"

namespace g2s::cuda::dnn {
namespace {

constexpr std::int64_t workspace_alignment = 16;
constexpr std::size_t workspace_of_second = 192;  // the second engine wants one

void require(bool right, const char* what) {
  if (!right) fail(Errc::internal, "cuDNN", "bad parameter: ", what);
}

std::int64_t size_of(const Layout& l) { return l.type == Type::bf16 ? 2 : 4; }

// Positive sizes, channels innermost, no gaps and no overlap.
void check_layout(const Layout& l) {
  for (std::int64_t d : l.dims) require(d > 0, "a dimension");
  require(l.strides[1] == 1 && l.strides[3] == l.dims[1] && l.strides[2] == l.dims[1] * l.dims[3] &&
              l.strides[0] == l.dims[1] * l.dims[3] * l.dims[2], "strides that are not those of NHWC");
  require(l.alignment >= size_of(l) && l.alignment % size_of(l) == 0 && (l.alignment & (l.alignment - 1)) == 0, "an alignment");
}

void check_convolution(const Convolution& c) {
  check_layout(c.x);
  check_layout(c.w);
  check_layout(c.y);
  require(c.x.dims[0] == c.y.dims[0], "the batches of x and y differ");
  require(c.x.dims[1] == c.w.dims[1], "the channels of x and w differ");
  require(c.y.dims[1] == c.w.dims[0], "the channels of y are not the outputs of w");
  for (int axis = 0; axis < 2; ++axis) {
    require(c.pad[axis] >= 0 && c.stride[axis] > 0 && c.dilation[axis] > 0, "padding, stride or dilation");
    const std::int64_t room = c.x.dims[2 + axis] + 2 * c.pad[axis] - c.dilation[axis] * (c.w.dims[2 + axis] - 1) - 1;
    require(room >= 0 && c.y.dims[2 + axis] == room / c.stride[axis] + 1, "y has not the size of the convolution");
  }
  const Layout &result = c.result(), &first = &result == &c.x ? c.y : c.x, &second = &result == &c.w ? c.y : c.w;
  require(result.type == Type::f32, "what is computed is not f32");
  require(first.type == second.type, "the factors are not of one type");
  require(first.type == Type::f32 || !c.tensor_cores, "tf32 of bf16");
}

// An element as the unit multiplies it.
double element(const void* data, const Layout& l, std::int64_t at, bool tf32) {
  if (l.type == Type::bf16) return static_cast<double>(to_float(static_cast<const bf16*>(data)[at]));
  const float value = static_cast<const float*>(data)[at];
  return static_cast<double>(tf32 ? simt::as_tf32(value) : value);
}

// Calls f(x, w, y) with the places of the elements that meet.
template <class F>
void meet(const Convolution& c, F f) {
  const Layout &x = c.x, &w = c.w, &y = c.y;
  for (std::int64_t b = 0; b < y.dims[0]; ++b)
    for (std::int64_t i = 0; i < y.dims[2]; ++i)
      for (std::int64_t j = 0; j < y.dims[3]; ++j)
        for (std::int64_t u = 0; u < w.dims[2]; ++u)
          for (std::int64_t v = 0; v < w.dims[3]; ++v) {
            const std::int64_t row = i * c.stride[0] + u * c.dilation[0] - c.pad[0], column = j * c.stride[1] + v * c.dilation[1] - c.pad[1];
            if (row < 0 || row >= x.dims[2] || column < 0 || column >= x.dims[3]) continue;
            const std::int64_t from = b * x.strides[0] + row * x.strides[2] + column * x.strides[3], by = u * w.strides[2] + v * w.strides[3],
                               to = b * y.strides[0] + i * y.strides[2] + j * y.strides[3];
            for (std::int64_t o = 0; o < y.dims[1]; ++o)
              for (std::int64_t k = 0; k < x.dims[1]; ++k)
                f(from + k * x.strides[1], by + o * w.strides[0] + k * w.strides[1], to + o * y.strides[1]);
          }
}

std::vector<double> elements(const void* data, const Layout& l, bool tf32) {
  std::vector<double> all(static_cast<std::size_t>(l.dims[0] * l.strides[0]));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = element(data, l, static_cast<std::int64_t>(i), tf32);
  return all;
}

void compute(const Convolution& c, const void* x, const void* w, void* y) {
  // What is computed is not read: its elements are the sums.
  const auto values = [&](const void* data, const Layout& l) {
    return &l == &c.result() ? std::vector<double>(static_cast<std::size_t>(l.dims[0] * l.strides[0])) : elements(data, l, c.tensor_cores);
  };
  std::vector<double> of_x = values(x, c.x), of_w = values(w, c.w), of_y = values(y, c.y);
  meet(c, [&](std::int64_t i, std::int64_t j, std::int64_t k) {
    double &a = of_x[static_cast<std::size_t>(i)], &b = of_w[static_cast<std::size_t>(j)], &sum = of_y[static_cast<std::size_t>(k)];
    switch (c.operation) {
      case Operation::forward: sum += a * b; break;
      case Operation::data: a += sum * b; break;
      case Operation::filter: b += a * sum; break;
    }
  });
  const bool data = c.operation == Operation::data, filter = c.operation == Operation::filter;
  const std::vector<double>& sums = data ? of_x : filter ? of_w : of_y;
  auto* written = static_cast<float*>(const_cast<void*>(data ? x : filter ? w : y));
  for (std::size_t i = 0; i < sums.size(); ++i) written[i] = static_cast<float>(sums[i]);
  simt::mark_written(written, sums.size() * sizeof(float));
}

void check_pointer(const void* p, std::int64_t alignment, const char* what) {
  require(p && reinterpret_cast<std::uintptr_t>(p) % static_cast<std::uintptr_t>(alignment) == 0, what);
}

class EmulatedPlan final : public ExecutionPlan {
 public:
  EmulatedPlan(const Convolution& c, std::size_t workspace) : c_(c), workspace_(workspace) {}
  std::size_t workspace() const override { return workspace_; }
  void run(const void* x, const void* w, const void* y, void* workspace) const override {
    check_pointer(x, c_.x.alignment, "the pointer of x");
    check_pointer(w, c_.w.alignment, "the pointer of w");
    check_pointer(y, c_.y.alignment, "the pointer of y");
    if (workspace_ > 0) check_pointer(workspace, workspace_alignment, "the workspace");
    note_launch({"cudnn", 1, 1});
    simt::enqueue(stream(), [c = c_, x, w, y, workspace, bytes = workspace_] {
      if (bytes > 0) std::memset(workspace, 0xff, bytes);  // all of it is the plan's
      compute(c, x, w, const_cast<void*>(y));
    });
  }

 private:
  Convolution c_;
  std::size_t workspace_;
};

}  // namespace

std::string unavailable_reason() {
  return std::getenv("G2S_SIMT_NO_VENDOR") ? "libcudnn.so.9 cannot be loaded (the emulator was told so)" : "";
}
std::int64_t version() { return 0; }

std::vector<Algorithm> engines(const Convolution& c) {
  check_convolution(c);
  return {{1, {{2, 4}}}, {0, {}}};
}

std::unique_ptr<ExecutionPlan> plan(const Convolution& c, const Algorithm& engine) {
  check_convolution(c);
  if (engine.index < 0 || engine.index > 1) return nullptr;
  return std::make_unique<EmulatedPlan>(c, engine.index == 1 ? workspace_of_second : 0);
}

void use_properties(const std::string&) { fail(Errc::unsupported, "cuDNN", "the emulator has no other devices"); }

}  // namespace g2s::cuda::dnn
