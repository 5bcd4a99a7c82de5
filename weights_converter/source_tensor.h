// A tensor of an input file: where its numbers are and how they lie there. Views (permuted, flipped, sliced) cost nothing; numbers are read
// when the output is written.
#pragma once

#include <string>
#include <vector>

#include "engine/export.h"
#include "weights_converter/bytes.h"

namespace g2s { namespace convert G2S_EXPORTED {

enum class NumberType : std::uint8_t {
  f16, bf16, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64, boolean, f8_e4m3, f8_e5m2, f8_e4m3fnuz, f8_e5m2fnuz, f8_e8m0,
  complex64, complex128
};

std::size_t size_of(NumberType type);
const char* to_string(NumberType type);         // f32, bf16, i64, bool, ...
const char* safetensors_name(NumberType type);  // F32, BF16, I64, BOOL, ...; null for complex numbers
bool is_real(NumberType type);                  // f16, bf16, f32, f64

using Dims = std::vector<std::int64_t>;

struct SourceTensor {
  std::string name;                    // its path in the file's tree: g_ema.conv1.conv.weight
  NumberType type = NumberType::f32;
  Dims shape;                          // empty: one number
  Dims strides;                        // in elements, as many as dimensions; negative along flipped axes
  std::int64_t offset = 0;             // of the first element, in elements from the start of `storage`
  Bytes storage;
  bool big_endian = false;

  std::int64_t numel() const;
  std::uint64_t bytes() const { return static_cast<std::uint64_t>(numel()) * size_of(type); }
  bool contiguous() const;

  // Views. Axes count from 0; anything that does not fit is Error(shape_mismatch) naming the tensor.
  SourceTensor permute(const std::vector<int>& axes) const;  // axes[i]: which of the old axes becomes axis i
  SourceTensor flip(int axis) const;
  SourceTensor slice(int axis, std::int64_t begin, std::int64_t count) const;
  SourceTensor select(int axis, std::int64_t index) const;   // the axis goes away
  // Dimensions of size 1 come and go and one dimension splits into several freely; dimensions merge only where they lie one after another.
  // (An OutputTensor's own shape is free: numbers are written in row-major order of the view.)
  SourceTensor reshape(const Dims& new_shape) const;
};

// A tensor made here.
SourceTensor make_tensor(const std::string& name, const Dims& shape, const std::vector<float>& values);

// The numbers in row-major order, for a look at small tensors; throws if there are more than `limit`.
std::vector<double> read_values(const SourceTensor& tensor, std::int64_t limit = 1 << 20);

std::string describe(NumberType type, const Dims& shape);  // f32 [512,512,3,3]
std::int64_t numel_of(const Dims& shape);                  // throws Error(format) where it overflows

}}  // namespace g2s::convert
