// Element types, shapes and devices.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <string>
#include <vector>

#include "engine/export.h"

namespace g2s G2S_EXPORTED {

enum class DType : std::uint8_t { f32, f64, bf16, f16, i32, u8 };

std::size_t size_of(DType dtype);
const char* to_string(DType dtype);
inline bool is_real(DType d) { return d == DType::f32 || d == DType::f64; }

// The C++ type of an element. bf16 and f16 are storage types: they are converted to f32 before any arithmetic.
struct bf16 {
  std::uint16_t bits;
};
struct f16 {
  std::uint16_t bits;
};
float to_float(bf16 v);
float to_float(f16 v);
bf16 to_bf16(float v);  // round to nearest even
f16 to_f16(float v);    // round to nearest even, overflow to infinity

template <class T>
struct dtype_of;
template <> struct dtype_of<float> { static constexpr DType value = DType::f32; };
template <> struct dtype_of<double> { static constexpr DType value = DType::f64; };
template <> struct dtype_of<bf16> { static constexpr DType value = DType::bf16; };
template <> struct dtype_of<f16> { static constexpr DType value = DType::f16; };
template <> struct dtype_of<std::int32_t> { static constexpr DType value = DType::i32; };
template <> struct dtype_of<std::uint8_t> { static constexpr DType value = DType::u8; };

// Sizes of a contiguous row-major tensor, the last dimension fastest. Rank 0 is a scalar.
class Shape {
 public:
  static constexpr int max_rank = 6;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims);
  explicit Shape(const std::vector<std::int64_t>& dims);

  int rank() const { return rank_; }
  std::int64_t numel() const;
  // Negative axes count from the end.
  std::int64_t operator[](int axis) const { return dims_[index(axis)]; }
  std::int64_t& operator[](int axis) { return dims_[index(axis)]; }
  const std::int64_t* begin() const { return dims_.data(); }
  const std::int64_t* end() const { return dims_.data() + rank_; }
  void push_back(std::int64_t dim);
  bool operator==(const Shape& other) const;
  bool operator!=(const Shape& other) const { return !(*this == other); }

 private:
  std::size_t index(int axis) const;
  std::array<std::int64_t, max_rank> dims_{};
  int rank_ = 0;
};

std::ostream& operator<<(std::ostream& out, const Shape& shape);  // [1,64,64,3]
std::ostream& operator<<(std::ostream& out, DType dtype);

// NumPy broadcasting of two shapes; throws naming `op`.
Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b);

enum class DeviceType : std::uint8_t { cpu, cuda };

struct Device {
  DeviceType type = DeviceType::cpu;
  int index = 0;
  bool operator==(const Device&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Device& device);

// Where this thread puts tensors that are not told where: its context's device, unless a DefaultDevice is alive.
Device default_device();

class DefaultDevice {
 public:
  explicit DefaultDevice(Device device);
  ~DefaultDevice();
  DefaultDevice(const DefaultDevice&) = delete;

 private:
  Device before_;
};

}  // namespace g2s
