#include "weights_converter/numbers.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/error.h"
#include "engine/types.h"

using namespace g2s;
using namespace g2s::convert;

namespace {

template <class T>
SourceTensor tensor_of(NumberType type, const Dims& shape, const std::vector<T>& values) {
  SourceTensor t;
  t.name = "t";
  t.type = type;
  t.shape = shape;
  t.strides = row_major(shape);
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  t.storage = own_bytes(std::move(bytes));
  return t;
}

template <class T>
std::vector<T> streamed(const SourceTensor& t, NumberType type, double scale = 1, double add = 0) {
  std::string all;
  stream_numbers(t, type, scale, add, [&](std::string_view piece) { all += piece; });
  std::vector<T> out(all.size() / sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), all.data(), all.size());
  return out;
}

SourceTensor counting(const Dims& shape) {
  std::vector<float> values(static_cast<std::size_t>(numel_of(shape)));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  return make_tensor("t", shape, values);
}

}  // namespace

TEST_CASE("numbers: f32 becomes f16 and bf16 as the engine rounds, at every representable place, between two and beside the middle") {
  std::vector<float> values;
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    for (int shift : {0, 3}) {  // bf16 values, and all f16 values among those with three more digits
      const std::uint32_t u = bits << (16 - shift) | (shift ? 0x30000000u : 0u);
      for (std::uint32_t near : {u, u + 1, u - 1, u + 0x7fff, u + 0x8000, u + 0x8001, u + 0xfff, u + 0x1000, u + 0x1001})
        values.push_back(std::bit_cast<float>(near));
    }
  }
  const SourceTensor t = tensor_of(NumberType::f32, {static_cast<std::int64_t>(values.size())}, values);
  const auto half = streamed<std::uint16_t>(t, NumberType::f16), brain = streamed<std::uint16_t>(t, NumberType::bf16);
  REQUIRE(half.size() == values.size());
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < values.size(); ++i) wrong += half[i] != to_f16(values[i]).bits || brain[i] != to_bf16(values[i]).bits;
  CHECK(wrong == 0);
}

TEST_CASE("numbers: every f16 and bf16 becomes its f32") {
  std::vector<std::uint16_t> bits(0x10000);
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint16_t>(i);
  const auto half = streamed<std::uint32_t>(tensor_of(NumberType::f16, {0x10000}, bits), NumberType::f32);
  const auto brain = streamed<std::uint32_t>(tensor_of(NumberType::bf16, {0x10000}, bits), NumberType::f32);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < bits.size(); ++i) {
    wrong += half[i] != std::bit_cast<std::uint32_t>(to_float(f16{bits[i]}));
    wrong += brain[i] != std::uint32_t{bits[i]} << 16;
  }
  CHECK(wrong == 0);
}

TEST_CASE("numbers: f64 and integers are rounded once") {
  // Just above the middle of two f16: f32 would land on the middle, and then on the even neighbour.
  const double above = 1 + 0x1p-11 + 0x1p-40;
  CHECK(streamed<std::uint16_t>(tensor_of<double>(NumberType::f64, {1}, {above}), NumberType::f16)[0] == 0x3c01);
  CHECK(streamed<std::uint16_t>(tensor_of<double>(NumberType::f64, {1}, {-above}), NumberType::f16)[0] == 0xbc01);
  CHECK(streamed<std::uint16_t>(tensor_of<double>(NumberType::f64, {1}, {1 + 0x1p-8 + 0x1p-40}), NumberType::bf16)[0] == 0x3f81);
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(streamed<std::uint16_t>(tensor_of<double>(NumberType::f64, {3}, {1e300, -infinity, 65519.0}), NumberType::f16) ==
        std::vector<std::uint16_t>{0x7c00, 0xfc00, 0x7bff});
  const std::int64_t odd = (std::int64_t{1} << 62) + (std::int64_t{1} << 38) + 1;  // above the middle of two f32
  CHECK(streamed<float>(tensor_of<std::int64_t>(NumberType::i64, {2}, {odd, -odd}), NumberType::f32) ==
        std::vector<float>{0x1p62f + 0x1p39f, -0x1p62f - 0x1p39f});
  CHECK(streamed<float>(tensor_of<std::uint64_t>(NumberType::u64, {1}, {~std::uint64_t{0}}), NumberType::f32)[0] == 0x1p64f);
  CHECK(streamed<double>(tensor_of<std::int64_t>(NumberType::i64, {1}, {odd}), NumberType::f64)[0] == static_cast<double>(odd));
  CHECK(streamed<float>(tensor_of<std::uint8_t>(NumberType::boolean, {2}, {0, 1}), NumberType::f32) == std::vector<float>{0, 1});
  CHECK(std::isnan(streamed<float>(tensor_of<double>(NumberType::f64, {1}, {std::nan("")}), NumberType::f32)[0]));
}

TEST_CASE("numbers: views are read in row-major order, scaled where asked") {
  const SourceTensor t = counting({2, 3, 4});
  CHECK(streamed<float>(t.permute({2, 0, 1}), NumberType::f32)[4] == 16);  // [4,2,3] at (0,1,1)
  CHECK(streamed<float>(t.flip(2).slice(1, 1, 1), NumberType::f32) == std::vector<float>{7, 6, 5, 4, 19, 18, 17, 16});
  CHECK(streamed<float>(t.select(0, 1).select(0, 2), NumberType::f32, 2, 1) == std::vector<float>{41, 43, 45, 47});
  CHECK(streamed<float>(t.reshape({4, 1, 6}).permute({1, 2, 0}), NumberType::f32)[1] == 6);
  CHECK(t.permute({1, 0, 2}).reshape({3, 2, 2, 2}).strides == Dims{4, 12, 2, 1});
  CHECK_THROWS_AS((void)t.permute({1, 0, 2}).reshape({6, 4}), Error);
  CHECK_THROWS_AS((void)t.permute({0, 1}), Error);
  CHECK_THROWS_AS((void)t.slice(0, 1, 2), Error);
  CHECK_THROWS_AS((void)t.flip(3), Error);
  const SourceTensor large = counting({300, 1000});  // more than one piece
  const auto turned = streamed<float>(large.permute({1, 0}), NumberType::f32);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < 300; ++i)
    for (std::size_t j = 0; j < 1000; ++j) wrong += turned[j * 300 + i] != static_cast<float>(i * 1000 + j);
  CHECK(wrong == 0);
}

TEST_CASE("numbers: big-endian numbers are turned, empty tensors are none, and nothing is read beyond a storage") {
  SourceTensor t = tensor_of<std::uint32_t>(NumberType::f32, {2}, {0x0000803f, 0x000000c0});
  t.big_endian = true;
  CHECK(streamed<float>(t, NumberType::f32) == std::vector<float>{1, -2});
  CHECK(streamed<float>(counting({0, 3}), NumberType::f16).empty());
  SourceTensor beyond = counting({4});
  for (const auto& [offset, stride] : {std::pair<std::int64_t, std::int64_t>{1, 1}, {-1, 1}, {0, 2}, {2, -1}, {0, std::int64_t{1} << 62}}) {
    beyond.offset = offset;
    beyond.strides = {stride};
    CHECK_THROWS_WITH_AS(check_bounds(beyond), "tensor t: f32 [4] reaches beyond the 16 bytes of its storage", Error);
  }
  CHECK_FALSE(can_convert(NumberType::f32, NumberType::i32));
  CHECK_FALSE(can_convert(NumberType::complex64, NumberType::f32));
  CHECK_THROWS_AS(streamed<float>(counting({1}), NumberType::i32), Error);
}
