// Products of matrices on CUDA by cuBLASLt instead of our kernels. The emulator answers for it, and checks what it is asked as strictly.
#include <doctest/doctest.h>

#include <cstdlib>

#include "engine/context.h"
#include "engine/cuda/launches.h"
#include "kernels/matmul/matmul.h"
#include "kernels/matmul/matmul_cublaslt.h"
#include "kernels/matmul/math_mode.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/cuda_paths.h"
#include "tests/support/math_modes.h"
#include "tests/support/skip.h"

using namespace g2s;
using namespace g2s::test;
using namespace g2s::kernels;

TEST_CASE("matmul: the table of cases, by cuBLASLt" * doctest::skip(no_test_device())) {
  const ForcedCudaMatmul by_cublaslt("cublaslt");
  cuda::forget_launches();
  run_cases("matmul", [](const Case& c, const std::vector<Tensor>& in) {
    return matmul(in[0], in[1], c.boolean("transpose_a", false), c.boolean("transpose_b", false));
  });
  CHECK(launches_of("cublaslt") > 0);
}

TEST_CASE("matmul: by cuBLASLt on the device, factors are rounded as asked and no more" * doctest::skip(no_test_device())) {
  const ForcedCudaMatmul by_cublaslt("cublaslt");
  for (bool transpose_a : {false, true})
    for (bool transpose_b : {false, true})
      for (MathMode mode : {MathMode::fma, MathMode::tf32}) {
        const WithOverride with("G2S_CUDA_MATH", to_string(mode));
        const Tensor a = hashed_input("a", transpose_a ? Shape{3, 20, 33} : Shape{3, 33, 20});
        const Tensor b = hashed_input("b", transpose_b ? Shape{3, 28, 20} : Shape{3, 20, 28});
        cuda::forget_launches();
        const Tensor c = matmul(a.to(test_device()), b.to(test_device()), transpose_a, transpose_b).to(Device{});
        CHECK(launches_of("cublaslt") == 1);
        CHECK(rel_error(c.to(DType::f64), matmul(rounded_for(mode, a), rounded_for(mode, b), transpose_a, transpose_b)) < 2e-7);
      }
}

TEST_CASE("matmul: on the device, a forced cuBLASLt that is not there is an error" * doctest::skip(no_test_device())) {
  const Tensor a = hashed_input("a", {4, 5}).to(test_device()), b = hashed_input("b", {5, 3}).to(test_device());
  ::setenv("G2S_SIMT_NO_VENDOR", "1", 1);
  const std::string reason = cuda::blas::unavailable_reason();
  if (!reason.empty()) {
    const ForcedCudaMatmul by_cublaslt("cublaslt");
    CHECK_THROWS_WITH_AS(matmul(a, b), ("G2S_CUDA_MATMUL: cublaslt is forced, but " + reason).c_str(), Error);
  } else {
    skip("the library cannot be hidden from this program");
  }
  CHECK(matmul(a, b).numel() == 12);
  ::unsetenv("G2S_SIMT_NO_VENDOR");
}

TEST_CASE("matmul: a product by rows is described by columns") {
  using cuda::blas::Matrix;
  // a [2, 3, 4] times b [5, 4] transposed, shared by the batch.
  const cuda::blas::MatmulDescription p = describe({2, 3, 5, 4, false, true, false, true}, false);
  CHECK((p.a == Matrix{4, 5, 4, 0, 16}));
  CHECK((p.b == Matrix{4, 3, 4, 12, 16}));
  CHECK((p.c == Matrix{5, 3, 5, 15, 16}));
  CHECK(p.transpose_a);
  CHECK_FALSE(p.transpose_b);
}

TEST_CASE("matmul: the table of CUDA's paths is in order, and it is what is taken") {
  const ForcedCudaMatmul none(nullptr);
  for (const CudaMatmulRow* r = cuda_matmul_table_begin(); r != cuda_matmul_table_end(); ++r) {
    if (r + 1 != cuda_matmul_table_end()) CHECK((r->sm != r[1].sm ? r->sm < r[1].sm : r->problem < r[1].problem));
    CHECK(choose_cuda_matmul(r->problem, r->sm).path == r->path);
    if (r->algorithm) CHECK(cuda::to_string(cuda::algorithm_from(r->algorithm)) == r->algorithm);
  }
  const CudaMatmulProblem unknown{1, 77, 78, 79, false, true, true, true};
  CHECK(choose_cuda_matmul(unknown, 90).path == CudaMatmulPath::fma);
  const ForcedCudaMatmul cublaslt("cublaslt");
  CHECK(choose_cuda_matmul(unknown, 90).path == CudaMatmulPath::cublaslt);
}
