#include "engine/types.h"

#include <algorithm>
#include <bit>
#include <ostream>
#include <utility>

#include "engine/error.h"
#include "engine/names.h"
#include "engine/thread_state.h"

namespace g2s {

std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f64: return 8;
    case DType::f32:
    case DType::i32: return 4;
    case DType::bf16:
    case DType::f16: return 2;
    case DType::u8: return 1;
  }
  return 0;
}

const char* to_string(DType dtype) { return name_of(dtype, {"f32", "f64", "bf16", "f16", "i32", "u8"}); }

float to_float(bf16 v) { return std::bit_cast<float>(std::uint32_t{v.bits} << 16); }

bf16 to_bf16(float v) {
  std::uint32_t u = std::bit_cast<std::uint32_t>(v);
  if ((u & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>((u >> 16) | 0x40)};  // keep NaN a NaN
  return {static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};
}

float to_float(f16 v) {
  std::uint32_t sign = std::uint32_t{v.bits & 0x8000u} << 16, exponent = (v.bits >> 10) & 31u, mantissa = v.bits & 1023u;
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24 is exact in f32
    float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  std::uint32_t bits = exponent == 31 ? 0x7f800000u | (mantissa << 13) : ((exponent + 112) << 23) | (mantissa << 13);
  return std::bit_cast<float>(sign | bits);
}

f16 to_f16(float v) {
  std::uint32_t u = std::bit_cast<std::uint32_t>(v), sign = (u >> 16) & 0x8000u, magnitude = u & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return {static_cast<std::uint16_t>(sign | 0x7e00u)};
  if (magnitude >= 0x477ff000u) return {static_cast<std::uint16_t>(sign | 0x7c00u)};  // 65520 and more round to infinity
  if (magnitude < 0x38800000u) {  // subnormal: adding 0.5 lets the f32 adder round at the 2^-24 place
    float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return {static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u))};
  }
  std::uint32_t rounded = magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u);
  return {static_cast<std::uint16_t>(sign | (rounded >> 13))};
}

Shape::Shape(std::initializer_list<std::int64_t> dims) {
  for (std::int64_t d : dims) push_back(d);
}

Shape::Shape(const std::vector<std::int64_t>& dims) {
  for (std::int64_t d : dims) push_back(d);
}

void Shape::push_back(std::int64_t dim) {
  if (rank_ == max_rank) fail(Errc::invalid_argument, "shape", "more than ", max_rank, " dimensions");
  if (dim < 0) fail(Errc::invalid_argument, "shape", "negative dimension ", dim);
  dims_[static_cast<std::size_t>(rank_++)] = dim;
}

std::int64_t Shape::numel() const {
  std::int64_t n = 1;
  for (std::int64_t d : *this)
    if (__builtin_mul_overflow(n, d, &n)) fail(Errc::invalid_argument, "shape", *this, " overflows 64 bits");
  return n;
}

std::size_t Shape::index(int axis) const {
  int i = axis < 0 ? axis + rank_ : axis;
  if (i < 0 || i >= rank_) fail(Errc::invalid_argument, "shape", "axis ", axis, " of a tensor of rank ", rank_);
  return static_cast<std::size_t>(i);
}

bool Shape::operator==(const Shape& other) const {
  return std::equal(begin(), end(), other.begin(), other.end());
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '[';
  for (int i = 0; i < shape.rank(); ++i) out << (i ? "," : "") << shape[i];
  return out << ']';
}

std::ostream& operator<<(std::ostream& out, DType dtype) { return out << to_string(dtype); }

std::ostream& operator<<(std::ostream& out, const Device& device) {
  if (device.type == DeviceType::cpu) return out << "cpu";
  return out << "cuda:" << device.index;
}

Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b) {
  const Shape& longer = a.rank() >= b.rank() ? a : b;
  const Shape& shorter = a.rank() >= b.rank() ? b : a;
  Shape out = longer;
  int shift = longer.rank() - shorter.rank();
  for (int i = 0; i < shorter.rank(); ++i) {
    std::int64_t d = shorter[i], &o = out[i + shift];
    if (o == d || d == 1) continue;
    check(o == 1, op, "shapes ", a, " and ", b, " do not broadcast");
    o = d;
  }
  return out;
}

Device default_device() { return thread_state().device; }
DefaultDevice::DefaultDevice(Device device) : before_(std::exchange(thread_state().device, device)) {}
DefaultDevice::~DefaultDevice() { thread_state().device = before_; }

}  // namespace g2s
