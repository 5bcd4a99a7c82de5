#include "c_api/arrays.h"

#include <doctest/doctest.h>

#include <limits>
#include <numeric>

#include "c_api/call.h"
#include "engine/accelerator.h"
#include "engine/image.h"
#include "tests/support/c_interface.h"

using namespace g2s;
using namespace g2s::capi;
using namespace g2s::test;

namespace {

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max(), least = std::numeric_limits<std::int64_t>::min();

std::vector<float> counted(std::size_t n) {
  std::vector<float> values(n);
  std::iota(values.begin(), values.end(), 0.f);
  return values;
}

g2s_array view(void* data, std::vector<std::int64_t> shape, std::vector<std::int64_t> strides, g2s_dtype dtype = G2S_F32) {
  g2s_array a = g2s_array_of(data, dtype, static_cast<int32_t>(shape.size()), shape.data());
  std::copy(strides.begin(), strides.end(), a.strides);
  return a;
}

std::vector<float> read(const g2s_array& a, Content content = Content::numbers) {
  return Array::readable(&a, "a", content).read().to_vector<float>();
}

void refused(const g2s_array& a, const char* sentence, bool written = false, Content content = Content::numbers) {
  CAPTURE(sentence);
  CHECK_THROWS_WITH(written ? Array::writable(&a, "a", content) : Array::readable(&a, "a", content), sentence);
}

}  // namespace

TEST_CASE("C interface: g2s_array_of is contiguous, and says nothing of a rank that is too large") {
  const std::int64_t shape[7] = {2, 3, 4, 1, 1, 1, 1};
  float x = 0;
  const g2s_array a = g2s_array_of(&x, G2S_F32, 3, shape);
  CHECK(a.data == &x);
  CHECK(a.rank == 3);
  CHECK(a.device_type == G2S_CPU);
  CHECK(std::vector<std::int64_t>(a.strides, a.strides + 3) == std::vector<std::int64_t>{12, 4, 1});
  CHECK(g2s_array_of(&x, G2S_F32, 0, nullptr).rank == 0);
  CHECK(g2s_array_of(&x, G2S_F32, 6, shape).rank == 6);
  for (int rank : {7, -1, -5}) CHECK(g2s_array_of(&x, G2S_F32, rank, shape).rank == -1);
  CHECK(g2s_array_of(&x, G2S_F32, 2, nullptr).rank == -1);
}

TEST_CASE("C interface: arrays are read with strides of every kind") {
  std::vector<float> x = counted(24);
  CHECK(read(view(x.data(), {2, 3}, {3, 1})) == std::vector<float>{0, 1, 2, 3, 4, 5});
  CHECK(read(view(x.data(), {3, 2}, {1, 3})) == std::vector<float>{0, 3, 1, 4, 2, 5});        // transposed
  CHECK(read(view(x.data() + 5, {2, 3}, {-3, -1})) == std::vector<float>{5, 4, 3, 2, 1, 0});  // backwards
  CHECK(read(view(x.data() + 2, {2, 3}, {3, -1})) == std::vector<float>{2, 1, 0, 5, 4, 3});
  CHECK(read(view(x.data(), {2, 3}, {0, 1})) == std::vector<float>{0, 1, 2, 0, 1, 2});  // repeated
  CHECK(read(view(x.data() + 7, {2, 2}, {0, 0})) == std::vector<float>{7, 7, 7, 7});
  CHECK(read(view(x.data(), {2, 2, 2}, {12, 5, 2})) == std::vector<float>{0, 2, 5, 7, 12, 14, 17, 19});
  CHECK(read(view(x.data(), {1, 3, 1}, {most, 2, least})) == std::vector<float>{0, 2, 4});  // strides of one element mean nothing
  CHECK(read(view(x.data() + 3, {}, {})) == std::vector<float>{3});
  CHECK(read(view(x.data(), {2, 0}, {most, most})).empty());
  CHECK(read(view(nullptr, {0}, {1})).empty());
}

TEST_CASE("C interface: arrays are read from every type of element") {
  const std::vector<float> want = {0, -1.5f, 1, 0.25f};
  const Tensor f32 = Tensor::from(want);
  for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) CHECK(read(array_of(f32.to(dtype))) == want);
  const Tensor pixels = Tensor::from(std::vector<std::uint8_t>{0, 255, 51, 204});
  CHECK(read(array_of(pixels), Content::image) == pixels_to_image(pixels).to_vector<float>());
  CHECK(read(array_of(pixels), Content::mask) == std::vector<float>{0, 1, 1, 1});
  CHECK(read(array_of(f32), Content::mask) == std::vector<float>{0, 1, 1, 1});
  CHECK(read(array_of(f32), Content::image) == want);
}

TEST_CASE("C interface: arrays are written with strides, and nothing between") {
  for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    const Tensor memory = Tensor::full({4, 4}, 9, dtype), value = Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
    g2s_array a = array_of(memory);
    a.shape[0] = 2, a.shape[1] = 3;
    a.strides[0] = 1, a.strides[1] = 4;  // transposed
    Array::writable(&a, "a").write(value);
    CHECK(memory.to(DType::f32).to_vector<float>() == std::vector<float>{1, 4, 9, 9, 2, 5, 9, 9, 3, 6, 9, 9, 9, 9, 9, 9});
  }
}

TEST_CASE("C interface: pictures and masks are written as bytes") {
  const Tensor bytes = Tensor::zeros({5}, DType::u8), value = Tensor::from(std::vector<float>{-2, -1, 0, 1, not_a_number});
  const g2s_array a = array_of(bytes);
  Array::writable(&a, "a", Content::image).write(value);
  CHECK(same_bits(bytes, image_to_pixels(value)));
  CHECK(bytes.to_vector<std::uint8_t>() == std::vector<std::uint8_t>{0, 0, 128, 255, 0});
  Array::writable(&a, "a", Content::mask).write(Tensor::from(std::vector<float>{0, 1, 0.5f, 7, not_a_number}));
  CHECK(bytes.to_vector<std::uint8_t>() == std::vector<std::uint8_t>{0, 255, 128, 255, 0});
}

TEST_CASE("C interface: the batch of one picture may be left out") {
  std::vector<float> x = counted(48);
  g2s_array a = view(x.data(), {2, 2, 3}, {24, 6, 1});
  Array image = Array::readable(&a, "a", Content::image);
  CHECK(image.with_batch().shape() == Shape{1, 2, 2, 3});
  CHECK(image.read().to_vector<float>() == std::vector<float>{0, 1, 2, 6, 7, 8, 24, 25, 26, 30, 31, 32});
  CHECK(image.without_batch().shape() == Shape{2, 2, 3});
  CHECK(image.read().to_vector<float>() == std::vector<float>{0, 1, 2, 6, 7, 8, 24, 25, 26, 30, 31, 32});
  a = view(x.data(), {2, 3}, {3, 1});
  CHECK(Array::readable(&a, "a", Content::mask).with_batch().shape() == Shape{1, 2, 3});
  CHECK_THROWS_WITH(Array::readable(&a, "a").require_shape({2, 4}), "a: is [2,3], expected [2,4]");
}

TEST_CASE("C interface: wrong arrays are refused, by name") {
  std::vector<float> x(8);
  CHECK_THROWS_WITH(Array::readable(nullptr, "a"), "a: is null");
  CHECK_THROWS_WITH(Array::writable(nullptr, "a"), "a: is null");
  refused(view(nullptr, {2}, {1}), "a: its data is null");
  refused(view(x.data(), {2, -1}, {1, 1}), "a: its shape has -1 at axis 1");
  refused(view(reinterpret_cast<char*>(x.data()) + 2, {2}, {1}), "a: its data is not aligned to elements of 4 bytes");
  g2s_array a = view(x.data(), {2}, {1});
  for (int rank : {-1, 7, std::numeric_limits<int>::max()}) {
    a.rank = rank;
    refused(a, str("a: its rank ", rank, " is not between 0 and 6").c_str());
  }
  a = view(x.data(), {2}, {1});
  for (int dtype : {-1, 6}) {
    a.dtype = dtype;
    refused(a, str("a: its dtype ", dtype, " is none").c_str());
  }
  a = view(x.data(), {2}, {1});
  a.device_type = 2;
  refused(a, "a: its device_type 2 is none");
  a.device_type = G2S_CUDA, a.device_index = -3;
  refused(a, "a: is on cuda:-3, but the call works on cpu");
}

TEST_CASE("C interface: sizes and strides that overflow are refused") {
  std::vector<double> x(8);
  const std::int64_t half = std::int64_t{1} << 32;
  refused(view(x.data(), {half, half}, {half, 1}), "a: its shape [4294967296,4294967296] overflows memory");
  refused(view(x.data(), {most}, {1}), "a: its shape [9223372036854775807] overflows memory");
  refused(view(x.data(), {half, half, 0}, {0, 0, 0}), "a: its shape [4294967296,4294967296,0] overflows memory");
  refused(view(x.data(), {half, half}, {0, 0}, G2S_F64), "a: its shape [4294967296,4294967296] overflows memory");
  for (std::int64_t stride : {most, least, most / 2, least / 2, most / 8, std::int64_t{-1} << 60, std::int64_t{1} << 59})
    refused(view(x.data(), {3}, {stride}, G2S_F64), "a: its strides reach beyond all memory");
  refused(view(x.data(), {2, 2}, {most, most}), "a: its strides reach beyond all memory");
  refused(view(x.data(), {2, 2}, {least, least}), "a: its strides reach beyond all memory");
  const auto address = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(x.data()));
  refused(view(x.data(), {2}, {-(address / 8 + 1)}, G2S_F64), "a: its strides reach beyond all memory");
}

TEST_CASE("C interface: what is written must not overlap") {
  std::vector<float> x(64);
  refused(view(x.data(), {2, 3}, {0, 1}), "a: is written to, but its stride at axis 0 is 0", true);
  refused(view(x.data() + 3, {3}, {-1}), "a: is written to, but its stride at axis 0 is -1", true);
  refused(view(x.data(), {2, 3}, {1, 1}), "a: is written to, but its elements overlap", true);
  refused(view(x.data(), {2, 3}, {2, 1}), "a: is written to, but its elements overlap", true);
  const g2s_array apart = view(x.data(), {2, 3}, {3, 1}), once = view(x.data(), {1, 3}, {0, 1}), none = view(x.data(), {0, 3}, {0, 0});
  for (const g2s_array& a : {apart, once, none}) CHECK_NOTHROW(Array::writable(&a, "a"));
}

TEST_CASE("C interface: types of elements that mean nothing here are refused") {
  std::vector<float> x(8);
  refused(view(x.data(), {2}, {1}, G2S_U8), "a: is u8, not f32, f64, f16 or bf16");
  refused(view(x.data(), {2}, {1}, G2S_I32), "a: is i32, not f32, f64, f16 or bf16", true);
  refused(view(x.data(), {2}, {1}, G2S_I32), "a: is i32, not f32, f64, f16, bf16 or u8", true, Content::image);
}

TEST_CASE("C interface: arrays on the device" * doctest::skip(no_test_device())) {
  Context context(usual_options());
  const UseContext in(context);
  const Tensor host = hashed_input("capi/device", {6, 5});
  Tensor device = host.to(test_device());
  g2s_array a = view_of(device);
  CHECK(a.device_type == G2S_CUDA);
  CHECK(same_bits(Array::readable(&a, "a").read_as_it_is(), host));
  std::swap(a.shape[0], a.shape[1]);
  std::swap(a.strides[0], a.strides[1]);
  const g2s_array same_on_host = view(const_cast<void*>(host.raw()), {5, 6}, {1, 5});
  CHECK(Array::readable(&a, "a").read().to_vector<float>() == read(same_on_host));
  const Tensor value = hashed_input("capi/value", {5, 6});
  for (DType dtype : {DType::f32, DType::f16}) {
    Tensor memory = Tensor::zeros({6, 5}, dtype, test_device());
    g2s_array to = view_of(memory);
    std::swap(to.shape[0], to.shape[1]);
    std::swap(to.strides[0], to.strides[1]);
    Array::writable(&to, "a").write(value.to(test_device()));
    const Tensor got = memory.to(Device{});
    const g2s_array back = view(const_cast<void*>(got.raw()), {5, 6}, {1, 5}, static_cast<g2s_dtype>(dtype));
    CHECK(read(back) == value.to(dtype).to(DType::f32).to_vector<float>());
  }
  Context on_host;
  const UseContext within(on_host);
  refused(view_of(device), "a: is on cuda:0, but the call works on cpu");
}
