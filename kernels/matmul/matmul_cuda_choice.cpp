#include "kernels/matmul/matmul_cuda_choice.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iterator>
#include <string>
#include <utility>

#include "engine/error.h"

namespace g2s::kernels {
namespace {

// One row too many, which is in no order: a table of no rows is no array.
constexpr CudaMatmulRow table[] = {
#include "kernels/matmul/matmul_cuda_table.inc"
    {}};

std::optional<CudaMatmulWish> from_environment() {
  const char* wanted = std::getenv("G2S_CUDA_MATMUL");
  if (!wanted || !*wanted) return std::nullopt;
  const std::string text = wanted;
  if (text == "own") return CudaMatmulWish::own;
  if (text == "cublaslt") return CudaMatmulWish::cublaslt;
  fail(Errc::invalid_argument, "G2S_CUDA_MATMUL", "must be own or cublaslt, not ", wanted);
}

std::optional<CudaMatmulWish>& forced() {
  static std::optional<CudaMatmulWish> wish = from_environment();
  return wish;
}

std::function<void(const CudaMatmulProblem&)>& observer() {
  static std::function<void(const CudaMatmulProblem&)> f;
  return f;
}

}  // namespace

const char* to_string(CudaMatmulPath path) {
  constexpr std::array names = {"fma", "tf32x3", "cublaslt"};
  return names[static_cast<std::size_t>(path)];
}

CudaMatmulChoice choose_cuda_matmul(const CudaMatmulProblem& p, int sm) {
  if (observer()) observer()(p);
  if (forced() == CudaMatmulWish::own) return {};
  if (forced() == CudaMatmulWish::cublaslt) return {CudaMatmulPath::cublaslt};
  const CudaMatmulRow wanted{sm, p, CudaMatmulPath::fma};
  const auto before = [](const CudaMatmulRow& a, const CudaMatmulRow& b) { return a.sm != b.sm ? a.sm < b.sm : a.problem < b.problem; };
  const CudaMatmulRow* row = std::lower_bound(cuda_matmul_table_begin(), cuda_matmul_table_end(), wanted, before);
  if (row != cuda_matmul_table_end() && row->sm == sm && row->problem == p) return {row->path, row->algorithm};
  return {};
}

std::optional<CudaMatmulWish> force_cuda_matmul(std::optional<CudaMatmulWish> wish) { return std::exchange(forced(), wish); }
std::optional<CudaMatmulWish> forced_cuda_matmul() { return forced(); }
void observe_cuda_matmuls(std::function<void(const CudaMatmulProblem&)> f) { observer() = std::move(f); }

const CudaMatmulRow* cuda_matmul_table_begin() { return std::begin(table); }
const CudaMatmulRow* cuda_matmul_table_end() { return std::end(table) - 1; }

}  // namespace g2s::kernels
