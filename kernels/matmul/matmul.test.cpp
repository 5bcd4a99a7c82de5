#include "kernels/matmul/matmul.h"

#include <doctest/doctest.h>

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
