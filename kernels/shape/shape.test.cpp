#include "kernels/shape/shape.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;
using g2s::test::Case;

TEST_CASE("shape: the table of cases") {
  test::run_cases("shape", [](const Case& c, const std::vector<Tensor>& in) {
    if (c.op == "permute") {
      std::vector<int> order;
      for (std::int64_t axis : c.integers("order")) order.push_back(static_cast<int>(axis));
      return permute(in[0], order);
    }
    int axis = static_cast<int>(c.integer("axis"));
    if (c.op == "slice") return slice(in[0], axis, c.integer("begin"), c.integer("end"));
    if (c.op == "concat") return concat(in, axis);
    if (c.op == "pad") return pad(in[0], axis, c.integer("before"), c.integer("after"), c.number("value"));
    if (c.op == "flip") return flip(in[0], axis);
    fail(Errc::invalid_argument, c.name, "no such operator");
  });
}

TEST_CASE("shape: on the device" * doctest::skip(test::no_test_device())) {
  const Device device = test::test_device();
  for (DType dtype : {DType::u8, DType::bf16, DType::i32, DType::f64}) {
    CAPTURE(to_string(dtype));
    for (const Shape& shape : {Shape{2, 33, 35, 16}, Shape{1, 16, 64, 8}, Shape{3, 1, 9, 32}}) {
      const Tensor x = test::hashed_input("there", shape, DType::f32, 120, 121).to(dtype), there = x.to(device);
      auto same = [](const Tensor& a, const Tensor& b) { CHECK(test::same_bits(a.to(Device{}), b)); };
      same(permute(there, {0, 3, 1, 2}), permute(x, {0, 3, 1, 2}));
      same(permute(there, {3, 2, 1, 0}), permute(x, {3, 2, 1, 0}));
      for (int axis = 0; axis < 4; ++axis) {
        const std::int64_t size = shape[axis];
        same(flip(there, axis), flip(x, axis));
        same(slice(there, axis, size / 4, size), slice(x, axis, size / 4, size));
        same(pad(there, axis, 3, 1, 2), pad(x, axis, 3, 1, 2));
        same(pad(there, axis, 0, 16, 7), pad(x, axis, 0, 16, 7));
        same(concat({there, flip(there, 0), there}, axis), concat({x, flip(x, 0), x}, axis));
      }
    }
  }
  CHECK_THROWS_AS(concat({Tensor::zeros({2}), Tensor::zeros({2}, DType::f32, device)}, 0), Error);
}

namespace {

// Element [i] of x permuted, by the definition.
std::vector<double> permuted(const Tensor& x, const std::vector<int>& order) {
  const int rank = x.rank();
  std::vector<std::int64_t> stride(static_cast<std::size_t>(rank), 1), size, step, index(static_cast<std::size_t>(rank), 0);
  for (int d = rank - 2; d >= 0; --d) stride[static_cast<std::size_t>(d)] = stride[static_cast<std::size_t>(d + 1)] * x.dim(d + 1);
  for (int d : order) size.push_back(x.dim(d)), step.push_back(stride[static_cast<std::size_t>(d)]);
  Tensor wide = x.to(DType::f64);
  std::vector<double> out;
  for (std::int64_t n = 0; n < x.numel(); ++n) {
    std::int64_t rest = n, from = 0;
    for (std::size_t d = order.size(); d-- > 0; rest /= size[d]) from += rest % size[d] * step[d];
    out.push_back(wide.data<double>()[from]);
  }
  return out;
}

Tensor numbered(const Shape& shape, DType dtype) {
  Tensor t = Tensor::empty(shape, DType::i32);
  for (std::int64_t i = 0; i < t.numel(); ++i) t.mutable_data<std::int32_t>()[i] = static_cast<std::int32_t>(i % 251);
  return t.to(dtype);
}

}  // namespace

TEST_CASE("shape: every permutation of four axes, of every dtype") {
  for (const Shape& shape : {Shape{2, 3, 5, 7}, Shape{3, 17, 33, 2}, Shape{16, 1, 48, 32}, Shape{2, 70, 65, 4}}) {
    std::vector<int> order = {0, 1, 2, 3};
    do {
      for (DType dtype : {DType::f32, DType::f64, DType::bf16, DType::u8})
        CHECK(permute(numbered(shape, dtype), order).to(DType::f64).to_vector<double>() == permuted(numbered(shape, dtype), order));
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

TEST_CASE("shape: slice, concat, pad and flip of every dtype, along every axis") {
  for (DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i32, DType::u8}) {
    Tensor x = numbered({4, 5, 6}, dtype);
    for (int axis = 0; axis < 3; ++axis) {
      std::int64_t size = x.dim(axis);
      Tensor front = slice(x, axis, 0, 2), middle = slice(x, axis, 2), back = slice(x, axis, 3, size);
      CHECK(test::same_bits(concat({front, middle, back}, axis), x));
      Tensor padded = pad(middle, axis, 2, size - 3, 7);
      CHECK(padded.shape() == x.shape());
      CHECK(test::same_bits(slice(padded, axis, 2, 3), middle));
      for (double v : slice(padded, axis, 0, 2).to(DType::f64).to_vector<double>()) CHECK(v == 7);
      for (double v : slice(padded, axis, 3, size).to(DType::f64).to_vector<double>()) CHECK(v == 7);
      Tensor turned = flip(x, axis);
      CHECK(test::same_bits(flip(turned, axis), x));
      for (std::int64_t i = 0; i < size; ++i) CHECK(test::same_bits(slice(turned, axis, i, i + 1), slice(x, axis, size - 1 - i, size - i)));
    }
  }
}

TEST_CASE("shape: results are new tensors") {
  Tensor x = Tensor::from<float>({1, 2});
  for (const Tensor& y : {permute(x, {0}), slice(x, 0, 0, 2), concat({x}, 0), pad(x, 0, 0, 0)}) CHECK(y.raw() != x.raw());
}

TEST_CASE("shape: empty tensors") {
  CHECK(slice(Tensor::zeros({3, 4}), 1, 2, 2).shape() == Shape{3, 0});
  CHECK(concat({Tensor::zeros({2, 0}), Tensor::zeros({2, 3})}, 1).shape() == Shape{2, 3});
  CHECK(pad(Tensor::zeros({2, 0}), 1, 1, 2, 5).to_vector<float>() == std::vector<float>(6, 5));
  CHECK(permute(Tensor::zeros({0, 3}), {1, 0}).shape() == Shape{3, 0});
  CHECK(flip(Tensor::zeros({0}), 0).numel() == 0);
}

TEST_CASE("shape: errors name the operator and the shapes") {
  Tensor x = Tensor::zeros({2, 3});
  CHECK_THROWS_WITH(permute(x, {0}), "permute: the order is no permutation of the axes of f32 [2,3]");
  CHECK_THROWS_AS(permute(x, {0, 0}), Error);
  CHECK_THROWS_AS(permute(x, {0, 2}), Error);
  CHECK_THROWS_WITH(slice(x, 1, 2, 4), "slice: elements 2 to 4 of axis 1 of f32 [2,3]");
  CHECK_THROWS_AS(slice(x, 1, 2, 1), Error);
  CHECK_THROWS_WITH(slice(x, 2, 0, 1), "slice: axis 2 of f32 [2,3]");
  CHECK_THROWS_WITH(concat({}, 0), "concat: there is nothing to join");
  CHECK_THROWS_WITH(concat({x, Tensor::zeros({2, 4})}, 0), "concat: f32 [2,4] with f32 [2,3] along axis 0");
  CHECK_THROWS_AS(concat({x, Tensor::zeros({2, 3}, DType::f64)}, 0), Error);
  CHECK_THROWS_WITH(pad(x, 0, -1, 0), "pad: by -1 and 0 (x f32 [2,3])");
  CHECK_THROWS_AS(flip(x, -3), Error);
}
