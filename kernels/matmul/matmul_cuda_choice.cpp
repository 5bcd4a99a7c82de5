#include "kernels/matmul/matmul_cuda_choice.h"

#include <array>
#include <iterator>
#include <utility>

#include "kernels/choice.h"

namespace g2s::kernels {
namespace {

// One row too many, which is in no order: a table of no rows is no array.
constexpr CudaMatmulRow table[] = {
#include "kernels/matmul/matmul_cuda_table.inc"
    {}};

std::optional<CudaMatmulWish>& forced() {
  static std::optional<CudaMatmulWish> wish =
      choice_from_environment<CudaMatmulWish>("G2S_CUDA_MATMUL", {{"own", CudaMatmulWish::own}, {"cublaslt", CudaMatmulWish::cublaslt}});
  return wish;
}

std::function<void(const CudaMatmulProblem&)>& observer() {
  static std::function<void(const CudaMatmulProblem&)> f;
  return f;
}

}  // namespace

const char* to_string(CudaMatmulPath path) {
  constexpr std::array names = {"fma", "cublaslt"};
  return names[static_cast<std::size_t>(path)];
}

CudaMatmulChoice choose_cuda_matmul(const CudaMatmulProblem& p, int sm) {
  if (observer()) observer()(p);
  if (forced() == CudaMatmulWish::own) return {};
  if (forced() == CudaMatmulWish::cublaslt) return {CudaMatmulPath::cublaslt};
  if (const CudaMatmulRow* row = find_row(cuda_matmul_table_begin(), cuda_matmul_table_end(), &CudaMatmulRow::sm, sm, p))
    return {row->path, row->algorithm};
  return {};
}

std::optional<CudaMatmulWish> force_cuda_matmul(std::optional<CudaMatmulWish> wish) { return std::exchange(forced(), wish); }
std::optional<CudaMatmulWish> forced_cuda_matmul() { return forced(); }
void observe_cuda_matmuls(std::function<void(const CudaMatmulProblem&)> f) { observer() = std::move(f); }

const CudaMatmulRow* cuda_matmul_table_begin() { return std::begin(table); }
const CudaMatmulRow* cuda_matmul_table_end() { return std::end(table) - 1; }

}  // namespace g2s::kernels
