#include "kernels/random/random.h"

#include <cmath>
#include <cstring>

#include "engine/hashed_tensor.h"
#include "engine/captured_graph.h"
#include "kernels/random/random_args.h"

namespace g2s {
namespace {

// The finaliser of splitmix64: every bit of the result depends on every bit of x.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

void check_dtype(const char* op, DType dtype, const Shape& shape) {
  if (!is_real(dtype)) fail(Errc::invalid_argument, op, "gives f32 or f64, not ", dtype, " ", shape);
}

std::uint64_t blocks(std::int64_t n) { return (static_cast<std::uint64_t>(n) + 3) / 4; }

const std::uint64_t* address(const Tensor& counter) { return counter ? static_cast<const std::uint64_t*>(counter.raw()) : nullptr; }

}  // namespace

Random::Random(std::uint64_t seed, const char* stream) : key_(mix(mix(seed) ^ fnv1a64(stream))) {}

// Goes on past the numbers of y. Where work is written down that happens at each launch, which finds its position in the tensor returned.
Tensor Random::advance(const Tensor& y) {
  const std::uint64_t count = blocks(y.numel());
  if (!CapturedGraph::capturing()) {
    position_ += count;
    return {};
  }
  if (!y.on_cuda()) fail(Errc::invalid_argument, "random", "work that is to be repeated would find the same numbers on the CPU each time");
  const PersistentMemory persistent;
  Tensor counter = Tensor::empty({2}, DType::i32, y.device());  // 64 bits
  CapturedGraph::before_each_launch([this, counter, count]() mutable {
    Tensor now = Tensor::empty({2}, DType::i32, Device{});
    std::memcpy(now.mutable_raw(), &position_, sizeof position_);
    copy_into(counter, now);
    position_ += count;
  });
  return counter;
}

Tensor Random::uniform(const Shape& shape, double lo, double hi, DType dtype) {
  check_dtype("uniform", dtype, shape);
  float low = static_cast<float>(lo), high = static_cast<float>(hi);
  if (!(low < high)) fail(Errc::invalid_argument, "uniform", "the range ", lo, " to ", hi, " is empty");
  Tensor y = Tensor::empty(shape, DType::f32);
  const std::uint64_t position = position_;
  const Tensor counter = advance(y);
  kernels::uniform(y.on_cuda(), {key_, position, y.numel(), y.mutable_ptr<float>(), low, static_cast<float>(hi - lo), std::nextafter(high, low), address(counter)});
  return y.to(dtype);
}

Tensor Random::normal(const Shape& shape, double mean, double sd, DType dtype) {
  check_dtype("normal", dtype, shape);
  if (!(sd >= 0)) fail(Errc::invalid_argument, "normal", "a standard deviation of ", sd);
  Tensor y = Tensor::empty(shape, DType::f32);
  const std::uint64_t position = position_;
  const Tensor counter = advance(y);
  kernels::normal(y.on_cuda(), {key_, position, y.numel(), y.mutable_ptr<float>(), static_cast<float>(mean), static_cast<float>(sd), 0, address(counter)});
  return y.to(dtype);
}

std::vector<std::int64_t> Random::permutation(std::int64_t n) {
  if (n < 0) fail(Errc::invalid_argument, "permutation", "of ", n, " elements");
  if (CapturedGraph::capturing())
    fail(Errc::invalid_argument, "permutation", "work that is to be repeated would find the same order each time");
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) order[static_cast<std::size_t>(i)] = i;
  for (std::int64_t i = n - 1; i > 0; --i) {
    std::uint32_t w[4];
    kernels::philox_cpu({{static_cast<std::uint32_t>(position_), static_cast<std::uint32_t>(position_ >> 32), 0, 0},
                         {static_cast<std::uint32_t>(key_), static_cast<std::uint32_t>(key_ >> 32)},
                         w});
    ++position_;
    // The high half of a 128-bit product: uniform in [0, i] but for 2^-64 (i + 1).
    std::uint64_t r = w[0] | std::uint64_t{w[1]} << 32;
    auto j = static_cast<std::size_t>((static_cast<unsigned __int128>(r) * static_cast<std::uint64_t>(i + 1)) >> 64);
    std::swap(order[static_cast<std::size_t>(i)], order[j]);
  }
  return order;
}

}  // namespace g2s
