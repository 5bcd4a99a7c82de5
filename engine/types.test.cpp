#include "engine/types.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "engine/error.h"

using namespace g2s;

namespace {

// The value that the bits of a binary floating-point number stand for, by the definition.
double value_of(std::uint32_t bits, int exponent_bits, int mantissa_bits) {
  std::uint32_t mantissa = bits & ((1u << mantissa_bits) - 1), exponent = (bits >> mantissa_bits) & ((1u << exponent_bits) - 1);
  double sign = bits >> (exponent_bits + mantissa_bits) & 1 ? -1 : 1;
  int bias = (1 << (exponent_bits - 1)) - 1;
  if (exponent == (1u << exponent_bits) - 1) return mantissa ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(1.0 + std::ldexp(mantissa, -mantissa_bits), static_cast<int>(exponent) - bias);
}

template <class T>
void check_every_value(int exponent_bits, int mantissa_bits, T (*round)(float)) {
  int wrong = 0;
  for (std::uint32_t b = 0; b < 65536; ++b) {
    T v{static_cast<std::uint16_t>(b)};
    double want = value_of(b, exponent_bits, mantissa_bits);
    float got = to_float(v);
    if (std::isnan(want)) {
      wrong += !std::isnan(got) || !std::isnan(to_float(round(got)));
      continue;
    }
    wrong += got != want || std::signbit(got) != std::signbit(want);
    wrong += round(got).bits != b;
  }
  CHECK(wrong == 0);
}

// Between neighbours the rounding changes at the midpoint, which goes to the even one: with every midpoint and what lies next to it right,
// all of f32 is.
template <class T>
void check_every_rounding(std::uint32_t infinity, T (*round)(float)) {
  int wrong = 0;
  for (std::uint32_t b = 0; b < infinity; ++b) {
    double low = to_float(T{static_cast<std::uint16_t>(b)});
    // Above the largest finite value the next one would be a power of two, where rounding up gives infinity.
    double high = b + 1 < infinity ? to_float(T{static_cast<std::uint16_t>(b + 1)}) : 2 * low - to_float(T{static_cast<std::uint16_t>(b - 1)});
    auto middle = static_cast<float>((low + high) / 2);  // exact
    std::uint32_t even = b % 2 ? b + 1 : b;
    for (std::uint32_t sign : {0u, 0x8000u}) {
      float s = sign ? -1.0f : 1.0f;
      wrong += round(s * middle).bits != (even | sign);
      wrong += round(s * std::nextafter(middle, INFINITY)).bits != ((b + 1) | sign);
      wrong += round(s * std::nextafter(middle, 0.0f)).bits != (b | sign);
    }
  }
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("types: every f16 and bf16 value converts exactly and back") {
  check_every_value<f16>(5, 10, to_f16);
  check_every_value<bf16>(8, 7, to_bf16);
}

TEST_CASE("types: every rounding of f32 to f16 and bf16") {
  check_every_rounding<f16>(0x7c00, to_f16);
  check_every_rounding<bf16>(0x7f80, to_bf16);
}

TEST_CASE("types: roundings that numpy and PyTorch give") {
  struct Sample {
    float value;
    std::uint16_t f16_bits, bf16_bits;
  };
  const Sample samples[] = {
      {0x0.0p+0f, 0x0000, 0x0000}, {-0x0.0p+0f, 0x8000, 0x8000}, {0x1.0000000000000p+0f, 0x3c00, 0x3f80},
      {-0x1.0000000000000p+0f, 0xbc00, 0xbf80}, {0x1.99999a0000000p-4f, 0x2e66, 0x3dcd}, {-0x1.99999a0000000p-3f, 0xb266, 0xbe4d},
      {0x1.5555560000000p-2f, 0x3555, 0x3eab}, {0x1.921fb60000000p+1f, 0x4248, 0x4049}, {0x1.ffc0000000000p+15f, 0x7bff, 0x4780},
      {0x1.ffdffe0000000p+15f, 0x7bff, 0x4780}, {0x1.ffe0000000000p+15f, 0x7c00, 0x4780}, {-0x1.ffe0000000000p+15f, 0xfc00, 0xc780},
      {0x1.86a0000000000p+16f, 0x7c00, 0x47c3}, {0x1.5798ee0000000p-27f, 0x0000, 0x322c}, {0x1.0000000000000p-25f, 0x0000, 0x3300},
      {0x1.0000020000000p-25f, 0x0001, 0x3300}, {0x1.0000000000000p-24f, 0x0001, 0x3380}, {0x1.8000000000000p-24f, 0x0002, 0x33c0},
      {0x1.0000000000000p-14f, 0x0400, 0x3880}, {0x1.ff80000000000p-15f, 0x03ff, 0x3880}, {0x1.ffc0000000000p-15f, 0x0400, 0x3880},
      {0x1.ffe0000000000p-15f, 0x0400, 0x3880}, {0x1.ffffaa0000000p-14f, 0x0800, 0x3900}, {0x1.0010000000000p+11f, 0x6800, 0x4500},
      {0x1.0020000000000p+11f, 0x6800, 0x4500}, {0x1.0060000000000p+11f, 0x6802, 0x4500}, {0x1.0010000000000p+12f, 0x6c00, 0x4580},
      {0x1.0020000000000p+0f, 0x3c00, 0x3f80}, {0x1.0020020000000p+0f, 0x3c01, 0x3f80}, {0x1.0060000000000p+0f, 0x3c02, 0x3f80},
      {0x1.0100000000000p+0f, 0x3c04, 0x3f80}, {0x1.0100000000000p+0f, 0x3c04, 0x3f80}, {0x1.0300000000000p+0f, 0x3c0c, 0x3f82},
      {0x1.fe00000000000p+127f, 0x7c00, 0x7f7f}, {0x1.ff00000000000p+127f, 0x7c00, 0x7f80}, {0x1.fffffe0000000p+127f, 0x7c00, 0x7f80},
      {0x1.16c2000000000p-133f, 0x0000, 0x0001}, {0x1.0000000000000p-133f, 0x0000, 0x0001}, {0x1.0076000000000p-134f, 0x0000, 0x0001},
      {0x1.0000000000000p-126f, 0x0000, 0x0080}, {INFINITY, 0x7c00, 0x7f80}, {-INFINITY, 0xfc00, 0xff80},
      {0x1.0000000000000p-149f, 0x0000, 0x0000}, {0x1.5540000000000p-2f, 0x3555, 0x3eab}, {0x1.e240000000000p+16f, 0x7c00, 0x47f1},
      {-0x1.025e800000000p-17f, 0x8081, 0xb701}, {0x1.ffc0000000000p+0f, 0x3fff, 0x4000}, {0x1.ffe0000000000p+0f, 0x4000, 0x4000},
      {0x1.ff00000000000p+7f, 0x5bfc, 0x4380}, {0x1.0080000000000p+8f, 0x5c02, 0x4380}, {0x1.0100000000000p+8f, 0x5c04, 0x4380},
      {0x1.ffe5ca0000000p-1f, 0x3c00, 0x3f80},
  };
  for (const Sample& s : samples) {
    CAPTURE(s.value);
    CHECK(to_f16(s.value).bits == s.f16_bits);
    CHECK(to_bf16(s.value).bits == s.bf16_bits);
  }
  for (std::uint32_t nan : {0x7f800001u, 0x7fc00000u, 0xffffffffu, 0x7fffffffu, 0xff800001u}) {
    CHECK(std::isnan(to_float(to_f16(std::bit_cast<float>(nan)))));
    CHECK(std::isnan(to_float(to_bf16(std::bit_cast<float>(nan)))));
  }
}

TEST_CASE("types: sizes and names") {
  const std::pair<DType, std::size_t> sizes[] = {{DType::f32, 4}, {DType::f64, 8}, {DType::bf16, 2}, {DType::f16, 2}, {DType::i32, 4}, {DType::u8, 1}};
  for (auto [dtype, size] : sizes) CHECK(size_of(dtype) == size);
  CHECK(std::string(to_string(DType::bf16)) == "bf16");
  CHECK(str(DType::u8, " ", Shape{2, 3}) == "u8 [2,3]");
  CHECK(str(Shape{}) == "[]");
  CHECK(str(Device{}, " ", Device{DeviceType::cuda, 1}) == "cpu cuda:1");
  CHECK(is_real(DType::f64));
  CHECK(!is_real(DType::f16));
}

TEST_CASE("types: shapes") {
  Shape s{2, 3, 5};
  CHECK(s.rank() == 3);
  CHECK(s.numel() == 30);
  CHECK(Shape{}.numel() == 1);
  CHECK(Shape{4, 0}.numel() == 0);
  CHECK(s[-1] == 5);
  CHECK(s == Shape(std::vector<std::int64_t>{2, 3, 5}));
  CHECK(s != Shape{2, 3});
  CHECK(s != Shape{2, 3, 4});
  CHECK_THROWS_AS(s[3], Error);
  CHECK_THROWS_AS(s[-4], Error);
  CHECK_THROWS_AS(Shape({1, -1}), Error);
  CHECK_THROWS_AS(Shape({1, 1, 1, 1, 1, 1, 1}), Error);
  CHECK_THROWS_AS(Shape({std::int64_t{1} << 40, std::int64_t{1} << 40}).numel(), Error);
}

TEST_CASE("types: broadcasting of shapes") {
  CHECK(broadcast_shapes("op", {2, 3}, {2, 3}) == Shape{2, 3});
  CHECK(broadcast_shapes("op", {}, {2, 3}) == Shape{2, 3});
  CHECK(broadcast_shapes("op", {3}, {2, 1}) == Shape{2, 3});
  CHECK(broadcast_shapes("op", {4, 1, 6}, {5, 1}) == Shape{4, 5, 6});
  CHECK(broadcast_shapes("op", {1}, {0}) == Shape{0});
  CHECK_THROWS_WITH(broadcast_shapes("op", {2, 3}, {2}), "op: shapes [2,3] and [2] do not broadcast");
}
