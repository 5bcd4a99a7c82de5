#include "weights_converter/source_tensor.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "engine/error.h"
#include "weights_converter/numbers.h"

namespace g2s::convert {
namespace {

struct TypeInfo {
  std::size_t size;
  const char* name;
  const char* safetensors;
};

// In the order of NumberType.
constexpr TypeInfo types[] = {
    {2, "f16", "F16"}, {2, "bf16", "BF16"}, {4, "f32", "F32"}, {8, "f64", "F64"},  {1, "i8", "I8"},
    {2, "i16", "I16"}, {4, "i32", "I32"},   {8, "i64", "I64"}, {1, "u8", "U8"},    {2, "u16", "U16"},
    {4, "u32", "U32"}, {8, "u64", "U64"},   {1, "bool", "BOOL"}, {1, "f8_e4m3", "F8_E4M3"}, {1, "f8_e5m2", "F8_E5M2"},
    {1, "f8_e4m3fnuz", "F8_E4M3FNUZ"}, {1, "f8_e5m2fnuz", "F8_E5M2FNUZ"}, {1, "f8_e8m0", "F8_E8M0"},
    {8, "complex64", nullptr}, {16, "complex128", nullptr},
};

const TypeInfo& info(NumberType type) { return types[static_cast<std::size_t>(type)]; }

template <class... Parts>
void require(bool ok, const SourceTensor& t, const Parts&... what) {
  if (!ok) fail(Errc::shape_mismatch, "tensor " + t.name, what..., " (it is ", describe(t.type, t.shape), ")");
}

void require_axis(const SourceTensor& t, int axis) {
  require(axis >= 0 && axis < static_cast<int>(t.shape.size()), t, "has no axis ", axis);
}

}  // namespace

std::size_t size_of(NumberType type) { return info(type).size; }
const char* to_string(NumberType type) { return info(type).name; }
const char* safetensors_name(NumberType type) { return info(type).safetensors; }
bool is_real(NumberType type) { return type <= NumberType::f64; }

std::string describe(NumberType type, const Dims& shape) {
  std::string text = str(to_string(type), " [");
  for (std::size_t i = 0; i < shape.size(); ++i) text += str(i ? "," : "", shape[i]);
  return text + "]";
}

std::int64_t numel_of(const Dims& shape) {
  std::int64_t n = 1;
  bool overflow = false;
  for (std::int64_t d : shape) {
    if (d < 0) fail(Errc::format, "shape", "a dimension is negative");
    overflow |= __builtin_mul_overflow(n, d, &n);
  }
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  constexpr std::int64_t most = std::int64_t{1} << 58;  // so that bytes fit too
  if (overflow || n > most) fail(Errc::format, "shape", describe(NumberType::u8, shape).substr(3), " overflows 64 bits");
  return n;
}

Dims row_major(const Dims& shape) {
  Dims strides(shape.size());
  std::int64_t step = numel_of(shape) > 0 ? 1 : 0;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

Dims column_major(const Dims& shape) {
  Dims strides = row_major({shape.rbegin(), shape.rend()});
  std::reverse(strides.begin(), strides.end());
  return strides;
}

std::int64_t SourceTensor::numel() const { return numel_of(shape); }

bool SourceTensor::contiguous() const {
  if (numel() == 0) return true;
  std::int64_t step = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] != 1 && strides[i] != step) return false;
    step *= shape[i];
  }
  return true;
}

SourceTensor SourceTensor::permute(const std::vector<int>& axes) const {
  std::vector<int> sorted = axes;
  std::sort(sorted.begin(), sorted.end());
  std::vector<int> all(shape.size());
  std::iota(all.begin(), all.end(), 0);
  require(sorted == all, *this, "cannot be permuted by ", axes.size(), " axes");
  SourceTensor out = *this;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto from = static_cast<std::size_t>(axes[i]);
    out.shape[i] = shape[from];
    out.strides[i] = strides[from];
  }
  return out;
}

SourceTensor SourceTensor::flip(int axis) const {
  require_axis(*this, axis);
  SourceTensor out = *this;
  const auto a = static_cast<std::size_t>(axis);
  if (shape[a] > 0) out.offset += (shape[a] - 1) * strides[a];
  out.strides[a] = -strides[a];
  return out;
}

SourceTensor SourceTensor::slice(int axis, std::int64_t begin, std::int64_t count) const {
  require_axis(*this, axis);
  const auto a = static_cast<std::size_t>(axis);
  require(begin >= 0 && count >= 0 && begin <= shape[a] && count <= shape[a] - begin, *this, "has no elements ", begin, "+", count,
          " along axis ", axis);
  SourceTensor out = *this;
  if (count > 0) out.offset += begin * strides[a];
  out.shape[a] = count;
  return out;
}

SourceTensor SourceTensor::select(int axis, std::int64_t index) const {
  SourceTensor out = slice(axis, index, 1);
  out.shape.erase(out.shape.begin() + axis);
  out.strides.erase(out.strides.begin() + axis);
  return out;
}

SourceTensor SourceTensor::reshape(const Dims& new_shape) const {
  require(numel_of(new_shape) == numel(), *this, "cannot become ", describe(type, new_shape));
  SourceTensor out = *this;
  out.shape = new_shape;
  out.strides = row_major(new_shape);
  if (numel() == 0) return out;
  // Runs of old dimensions that lie one after another are cut again into the new dimensions that make up as many elements.
  std::size_t from = 0, to = 0;
  while (to < new_shape.size()) {
    if (new_shape[to] == 1) {
      ++to;
      continue;
    }
    while (shape[from] == 1) ++from;
    std::size_t from_end = from + 1, to_end = to + 1;
    std::int64_t old_count = shape[from], new_count = new_shape[to];
    while (old_count != new_count) {
      if (old_count < new_count) {
        const std::int64_t d = shape[from_end];
        if (d != 1) {
          std::size_t last = from_end - 1;
          while (shape[last] == 1) --last;
          require(strides[last] == d * strides[from_end], *this, "cannot become ", describe(type, new_shape), " without a copy");
        }
        old_count *= d, ++from_end;
      } else {
        new_count *= new_shape[to_end++];
      }
    }
    std::size_t inner = from_end - 1;
    while (shape[inner] == 1) --inner;
    std::int64_t step = strides[inner];
    for (std::size_t i = to_end; i-- > to;) {
      out.strides[i] = step;
      step *= new_shape[i];
    }
    from = from_end, to = to_end;
  }
  return out;
}

SourceTensor make_tensor(const std::string& name, const Dims& shape, const std::vector<float>& values) {
  SourceTensor out;
  out.name = name;
  out.shape = shape;
  out.strides = row_major(shape);
  require(out.numel() == static_cast<std::int64_t>(values.size()), out, "cannot hold ", values.size(), " values");
  std::string buffer(values.size() * sizeof(float), '\0');
  if (!values.empty()) std::memcpy(buffer.data(), values.data(), buffer.size());
  out.storage = own_bytes(std::move(buffer));
  return out;
}

std::vector<double> read_values(const SourceTensor& tensor, std::int64_t limit) {
  const std::int64_t n = tensor.numel();
  if (n > limit) fail(Errc::unsupported, "tensor " + tensor.name, "has ", n, " numbers; at most ", limit, " were expected");
  std::vector<double> out(static_cast<std::size_t>(n));
  auto* at = reinterpret_cast<char*>(out.data());
  stream_numbers(tensor, NumberType::f64, 1, 0, [&](std::string_view piece) {
    std::memcpy(at, piece.data(), piece.size());
    at += piece.size();
  });
  return out;
}

}  // namespace g2s::convert
