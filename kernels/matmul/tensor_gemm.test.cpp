// Products on tensor cores, against f64 on factors rounded as the mode rounds them.
#include <doctest/doctest.h>

#include "engine/context.h"
#include "engine/precision.h"
#include "engine/simt/order.h"
#include "kernels/matmul/matmul.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/math_modes.h"

using namespace g2s;
using namespace g2s::test;
using kernels::MathMode;

namespace {

struct Sizes {
  std::int64_t m, n, k;
};

}  // namespace

TEST_CASE("matmul: on the device, on tensor cores" * doctest::skip(no_test_device())) {
  for (MathMode mode : {MathMode::bf16, MathMode::tf32})
    for (const Sizes& s : {Sizes{1540, 1424, 36}, Sizes{128, 64, 128}, Sizes{70, 68, 1000}, Sizes{65, 63, 61}, Sizes{200, 3, 40},
                           Sizes{1, 5, 7}, Sizes{60, 16, 4}})
      for (int turned = 0; turned < 4; ++turned) {
        if (s.m > 1000 && turned % 3 != 0) continue;  // slow
        const bool transpose_a = turned & 1, transpose_b = turned & 2;
        CAPTURE(str(to_string(mode), " ", s.m, " ", s.n, " ", s.k, " ", turned));
        const Tensor a = hashed_input("a", transpose_a ? Shape{s.k, s.m} : Shape{s.m, s.k});
        const Tensor b = hashed_input("b", transpose_b ? Shape{s.n, s.k} : Shape{s.k, s.n});
        const WithOverride with("G2S_CUDA_MATH", to_string(mode));
        const Tensor c = matmul(a.to(test_device()), b.to(test_device()), transpose_a, transpose_b).to(Device{}).to(DType::f64);
        // What a mode does not take runs as fma.
        const bool vectors = (transpose_a ? s.m : s.k) % 4 == 0 && (transpose_b ? s.k : s.n) % 4 == 0;
        const MathMode used = mode != MathMode::bf16 && (!vectors || s.n <= 16) ? MathMode::fma : mode;
        CHECK(rel_error(c, matmul(rounded_for(used, a), rounded_for(used, b), transpose_a, transpose_b)) < 1e-6);
        if (used != MathMode::fma)
          CHECK(rel_error(c, matmul(a.to(DType::f64), b.to(DType::f64), transpose_a, transpose_b)) > 1e-5);
      }
}

TEST_CASE("matmul: on the device, batches on tensor cores" * doctest::skip(no_test_device())) {
  const Tensor a = hashed_input("a", {3, 40, 72}), b = hashed_input("b", {3, 72, 36});
  for (MathMode mode : {MathMode::bf16, MathMode::tf32}) {
    const WithOverride with("G2S_CUDA_MATH", to_string(mode));
    const Tensor c = matmul(a.to(test_device()), b.to(test_device())).to(Device{}).to(DType::f64);
    CHECK(rel_error(c, matmul(rounded_for(mode, a), rounded_for(mode, b))) < 1e-6);
    if (!simt::set_order) continue;
    for (simt::Order order : {simt::Order::reverse, simt::Order::shuffle}) {
      simt::set_order(order);
      CHECK(same_bits(c, matmul(a.to(test_device()), b.to(test_device())).to(Device{}).to(DType::f64)));
      simt::set_order(simt::Order::forward);
    }
  }
}

TEST_CASE("matmul: on the device, no precision rounds products of matrices" * doctest::skip(no_test_device())) {
  const Tensor a = hashed_input("a", {128, 128}).to(test_device()), b = hashed_input("b", {128, 64}).to(test_device());
  const Tensor exact = matmul(a, b).to(Device{});
  for (Precision p : {Precision::tf32, Precision::bf16}) {
    const WithPrecision with(p);
    CHECK(same_bits(matmul(a, b).to(Device{}), exact));
  }
}
