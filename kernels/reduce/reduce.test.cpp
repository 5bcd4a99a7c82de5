#include "kernels/reduce/reduce.h"

#include <doctest/doctest.h>

#include <cmath>

#include "engine/hashed_tensor.h"
#include "kernels/elementwise/elementwise.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;
using g2s::test::Case;

TEST_CASE("reduce: the table of cases") {
  test::run_cases("reduce", [](const Case& c, const std::vector<Tensor>& in) {
    if (c.op == "sum_all") return sum(in[0]);
    if (c.op == "mean_all") return mean(in[0]);
    if (c.op == "sum" || c.op == "mean") {
      std::vector<int> axes;
      for (std::int64_t axis : c.integers("axes")) axes.push_back(static_cast<int>(axis));
      bool keepdim = c.boolean("keepdim", false);
      return c.op == "sum" ? sum(in[0], axes, keepdim) : mean(in[0], axes, keepdim);
    }
    Shape shape(c.integers("shape"));
    if (c.op == "sum_to") return sum_to(in[0], shape);
    if (c.op == "broadcast_to") return broadcast_to(in[0], shape);
    if (c.op == "dot_to") return dot_to(in[0], in[1], shape);
    fail(Errc::invalid_argument, c.name, "no such operator");
  });
}

TEST_CASE("reduce: sums of millions of elements keep f32's precision") {
  const std::int64_t n = 7 * 428573;
  Tensor x = hashed_tensor("precision", {n}).to(DType::f32);
  Tensor offset = x + 1.0;  // all of one sign, so that the error of a running sum would grow
  double exact = 0, exact_offset = 0, exact_dot = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    exact += x.data<float>()[i];
    exact_offset += offset.data<float>()[i];
    exact_dot += double{offset.data<float>()[i]} * offset.data<float>()[i];
  }
  CHECK(std::abs(sum(offset).item() / exact_offset - 1) < 1e-7);
  CHECK(std::abs(dot_to(offset, offset, {}).item() / exact_dot - 1) < 1e-7);
  CHECK(std::abs(mean(offset).item() / exact_offset * static_cast<double>(n) - 1) < 1.2e-7);
  CHECK(std::abs(sum(x).item() - exact) < 1e-7 * std::sqrt(static_cast<double>(n)));
  Tensor columns = offset.reshape({n / 7, 7});
  for (int axis : {0, 1}) CHECK(test::rel_error(sum(columns, {axis}), sum(columns.to(DType::f64), {axis})) < 1e-7);
}

TEST_CASE("reduce: on the device" * doctest::skip(test::no_test_device())) {
  const Device device = test::test_device();
  for (std::int64_t n : {1, 2, 255, 257, 4096, 4097, 50021}) {
    CAPTURE(n);
    for (DType dtype : {DType::f32, DType::f64}) {
      Tensor x = test::hashed_input("extremes", {n}, dtype), there = x.to(device);
      CHECK(test::same_bits(max_element(there).to(Device{}), max_element(x)));
      CHECK(test::same_bits(min_element(there).to(Device{}), min_element(x)));
    }
    for (std::int64_t at : {std::int64_t{0}, n / 2, n - 1}) {
      Tensor x = Tensor::zeros({n});
      x.mutable_data<float>()[at] = NAN;
      CHECK(std::isnan(max_element(x.to(device)).item()));
      CHECK(std::isnan(min_element(x.to(device)).item()));
    }
  }
  CHECK(sum(Tensor::zeros({0, 3}, DType::f32, device), {0}).to_vector<float>() == std::vector<float>(3));
  CHECK(broadcast_to(Tensor::zeros({1, 3}, DType::f32, device), {0, 3}).numel() == 0);
  for (auto [dtype, x] : {std::pair{DType::u8, 7.0}, std::pair{DType::bf16, 0.5}, std::pair{DType::i32, -3.0}})
    CHECK(test::same_bits(broadcast_to(Tensor::full({2, 1}, x, dtype, device), {2, 5}).to(Device{}), Tensor::full({2, 5}, x, dtype)));
  const std::int64_t n = 500009;  // large sums keep f32's precision
  Tensor x = test::hashed_input("precision", {n}, DType::f32, 1, 1), wide = x.to(DType::f64);
  CHECK(std::abs(sum(x.to(device)).item() / sum(wide).item() - 1) < 1e-7);
  CHECK(std::abs(dot_to(x.to(device), x.to(device), {}).item() / sum(wide * wide).item() - 1) < 1e-7);
}

TEST_CASE("reduce: every choice of axes, against plain loops") {
  for (const Shape& shape : {Shape{3, 5, 2, 7}, Shape{2, 33, 1, 65}, Shape{70, 2, 3, 1}, Shape{2, 1, 130, 128}}) {
    Tensor x = test::hashed_input("axes", shape, DType::f64);
    for (int chosen = 0; chosen < 16; ++chosen) {
      std::vector<int> axes;
      Shape kept = shape;
      for (int d = 0; d < 4; ++d)
        if (chosen >> d & 1) axes.push_back(d), kept[d] = 1;
      Tensor want = Tensor::zeros(kept, DType::f64);
      std::int64_t i[4], at = 0;
      for (i[0] = 0; i[0] < shape[0]; ++i[0])
        for (i[1] = 0; i[1] < shape[1]; ++i[1])
          for (i[2] = 0; i[2] < shape[2]; ++i[2])
            for (i[3] = 0; i[3] < shape[3]; ++i[3], ++at) {
              std::int64_t to = 0;
              for (int d = 0; d < 4; ++d) to = to * kept[d] + (chosen >> d & 1 ? 0 : i[d]);
              want.mutable_data<double>()[to] += x.data<double>()[at];
            }
      CHECK(test::rel_error(sum(x, axes, true), want) < 1e-14);
      CHECK(test::rel_error(sum(x.to(DType::f32), axes, true), want.to(DType::f32)) < 1e-6);
      CHECK(test::rel_error(sum_to(x, kept), want) < 1e-14);
      // <broadcast_to(w), x> = <w, sum_to(x)>
      Tensor w = test::hashed_input("w", kept, DType::f64);
      CHECK(test::dot(broadcast_to(w, shape), x) == doctest::Approx(test::dot(w, want)).epsilon(1e-12));
    }
  }
}

TEST_CASE("reduce: broadcasting copies every dtype") {
  Tensor u8 = Tensor::from<std::uint8_t>({1, 2, 3}), i32 = Tensor::from<std::int32_t>({7, 8}, {2, 1});
  CHECK(broadcast_to(u8, {2, 3}).to_vector<std::uint8_t>() == std::vector<std::uint8_t>{1, 2, 3, 1, 2, 3});
  CHECK(broadcast_to(i32, {2, 3}).to_vector<std::int32_t>() == std::vector<std::int32_t>{7, 7, 7, 8, 8, 8});
  Tensor bf = Tensor::from<float>({1, 2}).to(DType::bf16);
  CHECK(broadcast_to(bf, {2, 2}).to(DType::f32).to_vector<float>() == std::vector<float>{1, 2, 1, 2});
}

TEST_CASE("reduce: the largest and the smallest element") {
  for (DType dtype : {DType::f32, DType::f64}) {
    for (std::int64_t n : {1, 2, 31, 33, 40001, 9000001}) {
      Tensor x = Tensor::full({n}, 0.5, dtype);
      auto put = [&](std::int64_t i, double v) {
        if (dtype == DType::f32) x.mutable_data<float>()[i] = static_cast<float>(v);
        else x.mutable_data<double>()[i] = v;
      };
      put(n - 1, 3);
      CHECK(max_element(x).item() == 3);
      CHECK(min_element(x).item() == (n == 1 ? 3 : 0.5));
      put(n / 2, -2);
      CHECK(min_element(x).item() == -2);
      CHECK(max_element(x).dtype() == dtype);
      CHECK(max_element(x).shape() == Shape{});
      put(n / 3, std::nan(""));
      CHECK(std::isnan(max_element(x).item()));
      CHECK(std::isnan(min_element(x).item()));
    }
  }
}

TEST_CASE("reduce: sums with nothing in them") {
  CHECK(sum(Tensor::zeros({0})).item() == 0);
  CHECK(sum(Tensor::zeros({3, 0, 2}), {1}).to_vector<float>() == std::vector<float>(6, 0));
  CHECK(sum(Tensor::zeros({0, 2}), {1}).shape() == Shape{0});
  CHECK(broadcast_to(Tensor::zeros({1, 2}), {0, 2}).shape() == Shape{0, 2});
}

TEST_CASE("reduce: errors name the operator and the shapes") {
  Tensor x = Tensor::zeros({2, 3}), i = Tensor::zeros({2}, DType::i32);
  CHECK_THROWS_WITH(sum(x, {2}), "sum: axis 2 of f32 [2,3]");
  CHECK_THROWS_WITH(mean(x, {0, -2}), "mean: axis -2 is given twice (x f32 [2,3])");
  CHECK_THROWS_WITH(sum(i), "sum: needs f32 or f64, got i32 [2]");
  CHECK_THROWS_WITH(sum_to(x, {2}), "sum_to: [2] does not broadcast to f32 [2,3]");
  CHECK_THROWS_WITH(sum_to(x, {1, 2, 3}), "sum_to: [1,2,3] does not broadcast to f32 [2,3]");
  CHECK_THROWS_WITH(broadcast_to(x, {3}), "broadcast_to: f32 [2,3] to [3]");
  CHECK_THROWS_AS(broadcast_to(x, {4, 3}), Error);
  CHECK_THROWS_WITH(dot_to(x, Tensor::zeros({3}), {}), "dot_to: needs two tensors of one shape and dtype, f32 or f64, got f32 [2,3] and f32 [3]");
  CHECK_THROWS_AS(max_element(Tensor::zeros({0})), Error);
}
