#include "kernels/matmul/matmul.h"

#include <doctest/doctest.h>

#include "engine/autograd.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

TEST_CASE("matmul: the table of cases") {
  run_cases("matmul", [](const Case& c, const std::vector<Tensor>& in) {
    return matmul(in[0], in[1], c.boolean("transpose_a", false), c.boolean("transpose_b", false));
  });
}

TEST_CASE("matmul: a constant right side gives the same bits as any other") {
  Tensor a = hashed_input("a", {40, 70}), b = hashed_input("b", {70, 90}), kept = b.clone().set_constant();
  Tensor want = matmul(a, b), transposed = matmul(a, b.reshape({90, 70}), false, true);
  for (int i = 0; i < 2; ++i) {
    CHECK(same_bits(matmul(a, kept), want));
    CHECK(same_bits(matmul(a, kept.reshape({90, 70}), false, true), transposed));
  }
}

TEST_CASE("matmul: a batch of 1 is shared as a matrix is") {
  for (bool turned : {false, true}) {
    const Shape of_a = turned ? Shape{5, 4} : Shape{4, 5}, of_b = turned ? Shape{6, 5} : Shape{5, 6};
    Tensor a = hashed_input("a", of_a, DType::f64).set_requires_grad(), b = hashed_input("b", of_b, DType::f64).set_requires_grad();
    const Tensor one_a = a.reshape({1, of_a[0], of_a[1]}), one_b = b.reshape({1, of_b[0], of_b[1]});
    const Tensor many_a = hashed_input("as", {3, of_a[0], of_a[1]}, DType::f64), many_b = hashed_input("bs", {3, of_b[0], of_b[1]}, DType::f64);
    auto same = [&](const Tensor& got, const Tensor& want, const Tensor& leaf) {
      CHECK(same_bits(got.detach(), want.detach()));
      CHECK(same_bits(grad({sum(square(got))}, {leaf})[0], grad({sum(square(want))}, {leaf})[0]));
    };
    same(matmul(one_a, many_b, turned, turned), matmul(a, many_b, turned, turned), a);
    same(matmul(many_a, one_b, turned, turned), matmul(many_a, b, turned, turned), b);
  }
}

TEST_CASE("matmul: on the device, in large tiles" * doctest::skip(no_test_device())) {
  for (bool transpose_a : {false, true})
    for (bool transpose_b : {false, true}) {
      Tensor a = hashed_input("a", transpose_a ? Shape{20, 1540} : Shape{1540, 20});
      Tensor b = hashed_input("b", transpose_b ? Shape{1420, 20} : Shape{20, 1420});
      const Tensor c = matmul(a.to(test_device()), b.to(test_device()), transpose_a, transpose_b);
      CHECK(rel_error(c.to(Device{}), matmul(a, b, transpose_a, transpose_b)) < 1e-6);
    }
}

TEST_CASE("matmul: errors name the operands") {
  Tensor a = Tensor::zeros({3, 4}), b = Tensor::zeros({5, 6});
  CHECK_THROWS_WITH_AS(matmul(a, b), "matmul: a has 4 columns, b 5 rows (a f32 [3,4], b f32 [5,6])", Error);
  CHECK_THROWS_WITH_AS(matmul(a, b, true, false), "matmul: a has 3 columns, b 5 rows (a f32 [3,4] transposed, b f32 [5,6])", Error);
  CHECK_THROWS_AS(matmul(Tensor::zeros({4}), b), Error);
  CHECK_THROWS_AS(matmul(Tensor::zeros({2, 3, 5}), Tensor::zeros({3, 5, 6})), Error);
  CHECK_THROWS_AS(matmul(Tensor::zeros({3, 5}, DType::f64), b), Error);
  CHECK_THROWS_AS(matmul(Tensor::zeros({3, 5}, DType::i32), Tensor::zeros({5, 6}, DType::i32)), Error);
}
