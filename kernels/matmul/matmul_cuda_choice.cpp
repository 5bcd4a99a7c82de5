#include "kernels/matmul/matmul_cuda_choice.h"

#include <iterator>
#include <utility>

#include "engine/names.h"
#include "kernels/choice.h"

namespace g2s::kernels {
namespace {

// One row too many, which is in no order: a table of no rows is no array.
constexpr CudaMatmulRow table[] = {
#include "kernels/matmul/matmul_cuda_table.inc"
    {}};

}  // namespace

const char* to_string(CudaMatmulPath path) { return name_of(path, {"fma", "cublaslt"}); }

CudaMatmulChoice choose_cuda_matmul(const CudaMatmulProblem& p, int sm) {
  tell_listener(p);
  const std::optional<CudaMatmulOverride> requested = forced_cuda_matmul();
  if (requested == CudaMatmulOverride::own) return {};
  if (requested == CudaMatmulOverride::cublaslt) return {CudaMatmulPath::cublaslt};
  if (const CudaMatmulRow* row = find_row(cuda_matmul_table_begin(), cuda_matmul_table_end(), &CudaMatmulRow::sm, sm, p))
    return {row->path, row->algorithm};
  return {};
}

std::optional<CudaMatmulOverride> forced_cuda_matmul() {
  return choice_overridden<CudaMatmulOverride>("G2S_CUDA_MATMUL",
                                               {{"own", CudaMatmulOverride::own}, {"cublaslt", CudaMatmulOverride::cublaslt}});
}
void observe_cuda_matmuls(std::function<void(const CudaMatmulProblem&)> f) { listen(std::move(f)); }

const CudaMatmulRow* cuda_matmul_table_begin() { return std::begin(table); }
const CudaMatmulRow* cuda_matmul_table_end() { return std::end(table) - 1; }

}  // namespace g2s::kernels
