#include "weights_converter/numbers.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "engine/error.h"
#include "engine/parallel.h"

namespace g2s::convert {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie in memory");

constexpr std::int64_t piece = 1 << 15;  // numbers at a time
constexpr std::int64_t pieces_at_once = 16;

using Take = std::function<void(std::string_view)>;

// Loops of this file are plain and free of branches, so that the compiler turns them into vector instructions.

std::int32_t choose(bool first, std::int32_t a, std::int32_t b) { return (a & -std::int32_t{first}) | (b & (std::int32_t{first} - 1)); }

std::uint16_t half_bits(std::uint32_t u) {
  const auto magnitude = static_cast<std::int32_t>(u & 0x7fffffffu);
  const std::int32_t normal = (magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  // Adding 0.5 lets the adder round at the 2^-24 place. Only magnitudes below 2^-14 take this way.
  const std::int32_t small = choose(magnitude < 0x38800000, magnitude, 0x38800000);
  const std::int32_t tiny = std::bit_cast<std::int32_t>(std::bit_cast<float>(small) + 0.5f) - 0x3f000000;
  std::int32_t bits = choose(magnitude < 0x38800000, tiny, normal);
  bits = choose(magnitude >= 0x477ff000, 0x7c00, bits);  // 65520 and more round to infinity
  bits = choose(magnitude > 0x7f800000, 0x7e00, bits);
  return static_cast<std::uint16_t>((u >> 16 & 0x8000u) | static_cast<std::uint32_t>(bits));
}

std::uint16_t brain_bits(std::uint32_t u) {
  const std::uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16, nan = (u >> 16) | 0x40u;
  return static_cast<std::uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

float float_of_half(std::uint16_t h) {
  const std::uint32_t sign = std::uint32_t{h & 0x8000u} << 16, exponent = (h >> 10) & 31u, mantissa = h & 1023u;
  const std::uint32_t tiny = std::bit_cast<std::uint32_t>(static_cast<float>(static_cast<int>(mantissa)) * 0x1p-24f);
  std::uint32_t bits = ((exponent + 112) << 23) | (mantissa << 13);
  bits = exponent == 31 ? 0x7f800000u | (mantissa << 13) : bits;
  bits = exponent == 0 ? tiny : bits;
  return std::bit_cast<float>(sign | bits);
}

// The float next to y towards zero, made odd where y is none: rounding it once more to fewer digits is then rounding y itself.
float round_to_odd(double y) {
  float f = static_cast<float>(y);
  if (static_cast<double>(f) == y || std::isnan(y)) return f;
  std::uint32_t bits = std::bit_cast<std::uint32_t>(f);
  if (std::fabs(static_cast<double>(f)) > std::fabs(y)) --bits;
  return std::bit_cast<float>(bits | 1u);
}

// Exact in double but for integers beyond 2^53, whose lost digits leave a trace in the last one kept.
template <class T>
double widen(T v) {
  if constexpr (sizeof(T) == 8 && std::is_integral_v<T>) {
    constexpr T low = 2047;
    const bool large = v > (T{1} << 53) || (std::is_signed_v<T> && v < -(T{1} << 53));
    if (large) return static_cast<double>(static_cast<T>((v & static_cast<T>(~low)) | ((v & low) ? T{2048} : T{0})));
  }
  return static_cast<double>(v);
}

template <class T>
void widen_all(const char* from, std::int64_t n, double* to) {
  for (std::int64_t i = 0; i < n; ++i) {
    T v;
    std::memcpy(&v, from + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
    to[i] = widen(v);
  }
}

void to_doubles(NumberType type, const char* from, std::int64_t n, double* to) {
  switch (type) {
    case NumberType::f32: return widen_all<float>(from, n, to);
    case NumberType::f64: return widen_all<double>(from, n, to);
    case NumberType::i8: return widen_all<std::int8_t>(from, n, to);
    case NumberType::i16: return widen_all<std::int16_t>(from, n, to);
    case NumberType::i32: return widen_all<std::int32_t>(from, n, to);
    case NumberType::i64: return widen_all<std::int64_t>(from, n, to);
    case NumberType::boolean:
    case NumberType::u8: return widen_all<std::uint8_t>(from, n, to);
    case NumberType::u16: return widen_all<std::uint16_t>(from, n, to);
    case NumberType::u32: return widen_all<std::uint32_t>(from, n, to);
    case NumberType::u64: return widen_all<std::uint64_t>(from, n, to);
    default: break;
  }
  for (std::int64_t i = 0; i < n; ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, from + 2 * i, 2);
    to[i] = type == NumberType::f16 ? float_of_half(bits) : std::bit_cast<float>(std::uint32_t{bits} << 16);
  }
}

void from_doubles(const double* from, std::int64_t n, NumberType type, char* to) {
  for (std::int64_t i = 0; i < n; ++i) {
    if (type == NumberType::f64) {
      std::memcpy(to + 8 * i, from + i, 8);
    } else if (type == NumberType::f32) {
      const float f = static_cast<float>(from[i]);
      std::memcpy(to + 4 * i, &f, 4);
    } else {
      const std::uint32_t u = std::bit_cast<std::uint32_t>(round_to_odd(from[i]));
      const std::uint16_t bits = type == NumberType::f16 ? half_bits(u) : brain_bits(u);
      std::memcpy(to + 2 * i, &bits, 2);
    }
  }
}

template <class From, class To, class F>
void map_all(const char* from, std::int64_t n, char* to, F&& f) {
  for (std::int64_t i = 0; i < n; ++i) {
    From x;
    std::memcpy(&x, from + static_cast<std::size_t>(i) * sizeof(From), sizeof(From));
    const To y = f(x);
    std::memcpy(to + static_cast<std::size_t>(i) * sizeof(To), &y, sizeof(To));
  }
}

// The usual changes of type; false for all others. Each has a lambda of its own: a function's address would be called number by number.
bool convert_quickly(NumberType from, const char* x, std::int64_t n, NumberType to, char* y) {
  using enum NumberType;
  if (from == f32 && to == f16) map_all<std::uint32_t, std::uint16_t>(x, n, y, [](std::uint32_t u) { return half_bits(u); });
  else if (from == f32 && to == bf16) map_all<std::uint32_t, std::uint16_t>(x, n, y, [](std::uint32_t u) { return brain_bits(u); });
  else if (from == f16 && to == f32) map_all<std::uint16_t, float>(x, n, y, [](std::uint16_t h) { return float_of_half(h); });
  else if (from == bf16 && to == f32) map_all<std::uint16_t, std::uint32_t>(x, n, y, [](std::uint16_t b) { return std::uint32_t{b} << 16; });
  else if (from == i64 && to == f64) map_all<std::int64_t, double>(x, n, y, [](std::int64_t v) { return static_cast<double>(v); });
  else if (from == u64 && to == f64) map_all<std::uint64_t, double>(x, n, y, [](std::uint64_t v) { return static_cast<double>(v); });
  else if (from == f64 && to == f32) map_all<double, float>(x, n, y, [](double d) { return static_cast<float>(d); });
  else return false;
  return true;
}

struct Conversion {
  NumberType from, to;
  double scale, add;

  bool copies() const { return from == to && scale == 1 && add == 0; }

  void run(const char* x, std::int64_t n, char* y) const {
    const bool affine = scale != 1 || add != 0;
    if (!affine && convert_quickly(from, x, n, to, y)) return;
    std::vector<double> wide(static_cast<std::size_t>(n));
    to_doubles(from, x, n, wide.data());
    if (affine)
      for (double& v : wide) v = scale * v + add;
    from_doubles(wide.data(), n, to, y);
  }
};

// A few pieces at a time, on all threads; handed on in order.
void convert_in_pieces(const Conversion& conversion, const char* x, std::int64_t n, const Take& take) {
  const auto from = static_cast<std::int64_t>(size_of(conversion.from)), to = static_cast<std::int64_t>(size_of(conversion.to));
  std::vector<char> out(static_cast<std::size_t>(std::min(n, pieces_at_once * piece) * to));
  for (std::int64_t begin = 0; begin < n; begin += pieces_at_once * piece) {
    const std::int64_t count = std::min(pieces_at_once * piece, n - begin);
    parallel_blocks(count, piece, [&](std::int64_t i, std::int64_t end) { conversion.run(x + (begin + i) * from, end - i, out.data() + i * to); });
    take({out.data(), static_cast<std::size_t>(count * to)});
  }
}

// Copies numbers of a view in row-major order, `count` of them from the current position on.
class Gather {
 public:
  Gather(const SourceTensor& t, const char* first) : size_(size_of(t.type)), at_(first) {
    for (std::size_t i = 0; i < t.shape.size(); ++i) {
      if (t.shape[i] == 1) continue;
      if (!shape_.empty() && strides_.back() == t.strides[i] * t.shape[i]) {  // two dimensions in one
        shape_.back() *= t.shape[i], strides_.back() = t.strides[i];
      } else {
        shape_.push_back(t.shape[i]), strides_.push_back(t.strides[i]);
      }
    }
    if (shape_.empty()) shape_ = {1}, strides_ = {1};
    index_.resize(shape_.size());
  }

  void copy(std::int64_t count, char* to) {
    const std::size_t last = shape_.size() - 1;
    while (count > 0) {
      const std::int64_t run = std::min(count, shape_[last] - index_[last]);
      copy_run(run, strides_[last], to);
      to += static_cast<std::size_t>(run) * size_;
      count -= run;
      index_[last] += run;
      at_ += run * strides_[last] * static_cast<std::int64_t>(size_);
      for (std::size_t d = last; d > 0 && index_[d] == shape_[d]; --d) {
        at_ += (strides_[d - 1] - shape_[d] * strides_[d]) * static_cast<std::int64_t>(size_);
        index_[d] = 0;
        ++index_[d - 1];
      }
    }
  }

 private:
  template <std::size_t size>
  void copy_elements(std::int64_t run, std::int64_t stride, char* to) const {
    constexpr auto step = static_cast<std::int64_t>(size);
    for (std::int64_t i = 0; i < run; ++i) std::memcpy(to + i * step, at_ + i * stride * step, size);
  }
  void copy_run(std::int64_t run, std::int64_t stride, char* to) const {
    if (stride == 1) std::memcpy(to, at_, static_cast<std::size_t>(run) * size_);
    else if (size_ == 1) copy_elements<1>(run, stride, to);
    else if (size_ == 2) copy_elements<2>(run, stride, to);
    else if (size_ == 4) copy_elements<4>(run, stride, to);
    else if (size_ == 8) copy_elements<8>(run, stride, to);
    else copy_elements<16>(run, stride, to);
  }

  std::size_t size_;
  const char* at_;
  Dims shape_, strides_, index_;
};

void swap_bytes(char* data, std::int64_t n, NumberType type) {
  const bool complex = type == NumberType::complex64 || type == NumberType::complex128;
  const std::size_t size = size_of(type) / (complex ? 2 : 1), total = static_cast<std::size_t>(n) * size_of(type);
  for (std::size_t i = 0; i < total; i += size) std::reverse(data + i, data + i + size);
}

// Whether any number has all bits of its exponent: infinite, or none.
template <class Bits>
bool any_nonfinite(const char* at, std::int64_t n, Bits exponent) {
  Bits found = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    Bits bits;
    std::memcpy(&bits, at + static_cast<std::size_t>(i) * sizeof(Bits), sizeof(Bits));
    found = static_cast<Bits>(found | static_cast<Bits>((bits & exponent) == exponent));
  }
  return found != 0;
}

bool any_nonfinite(NumberType type, const char* at, std::int64_t n) {
  switch (type) {
    case NumberType::f16: return any_nonfinite<std::uint16_t>(at, n, 0x7c00);
    case NumberType::bf16: return any_nonfinite<std::uint16_t>(at, n, 0x7f80);
    case NumberType::f32: return any_nonfinite<std::uint32_t>(at, n, 0x7f800000u);
    case NumberType::f64: return any_nonfinite<std::uint64_t>(at, n, 0x7ff0000000000000u);
    default: return false;
  }
}

}  // namespace

std::int64_t first_nonfinite(NumberType type, std::string_view numbers) {
  const auto size = static_cast<std::int64_t>(size_of(type)), n = static_cast<std::int64_t>(numbers.size()) / size;
  if (!any_nonfinite(type, numbers.data(), n)) return -1;
  std::int64_t i = 0;
  while (!any_nonfinite(type, numbers.data() + i * size, 1)) ++i;
  return i;
}

bool can_convert(NumberType from, NumberType to) {
  if (from == to) return true;
  const bool eight_bits = from >= NumberType::f8_e4m3 && from <= NumberType::f8_e8m0;
  return is_real(to) && !eight_bits && safetensors_name(from) != nullptr;
}

void check_bounds(const SourceTensor& t) {
  std::int64_t low = t.offset, high = t.offset;  // of the first and the last element in memory
  bool overflow = t.shape.size() != t.strides.size();
  if (!overflow && t.numel() == 0) return;
  for (std::size_t i = 0; i < t.shape.size() && !overflow; ++i) {
    std::int64_t reach = 0;
    overflow |= __builtin_mul_overflow(t.shape[i] - 1, t.strides[i], &reach);
    overflow |= __builtin_add_overflow(reach < 0 ? low : high, reach, reach < 0 ? &low : &high);
  }
  const auto available = static_cast<std::int64_t>(t.storage.size / size_of(t.type));
  if (!overflow && low >= 0 && high < available) return;
  fail(Errc::format, "tensor " + t.name, describe(t.type, t.shape), " reaches beyond the ", t.storage.size, " bytes of its storage");
}

void stream_numbers(const SourceTensor& tensor, NumberType type, double scale, double add, const Take& take) {
  if (!can_convert(tensor.type, type)) fail(Errc::unsupported, "tensor " + tensor.name, to_string(tensor.type), " cannot become ", to_string(type));
  check_bounds(tensor);
  const Conversion conversion{tensor.type, type, scale, add};
  if (!conversion.copies() && !is_real(type)) fail(Errc::unsupported, "tensor " + tensor.name, to_string(type), " cannot be scaled");
  const std::int64_t n = tensor.numel(), size = static_cast<std::int64_t>(size_of(tensor.type));
  if (n == 0) return;
  const Memory memory = tensor.storage.load();
  const char* first = memory.data + tensor.offset * size;
  const bool in_place = tensor.contiguous() && (!tensor.big_endian || size == 1);
  if (in_place && conversion.copies()) return take({first, static_cast<std::size_t>(n * size)});
  if (in_place) return convert_in_pieces(conversion, first, n, take);

  Gather gather(tensor, first);
  std::vector<char> gathered(static_cast<std::size_t>(std::min(n, piece) * size));
  for (std::int64_t begin = 0; begin < n; begin += piece) {
    const std::int64_t count = std::min(piece, n - begin);
    gather.copy(count, gathered.data());
    if (tensor.big_endian) swap_bytes(gathered.data(), count, tensor.type);
    if (conversion.copies()) take({gathered.data(), static_cast<std::size_t>(count * size)});
    else convert_in_pieces(conversion, gathered.data(), count, take);
  }
}

}  // namespace g2s::convert
