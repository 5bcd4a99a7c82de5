#include "kernels/conv/conv_cuda_choice.h"

#include <iterator>
#include <utility>

#include "engine/names.h"
#include "kernels/choice.h"

namespace g2s::kernels {
namespace {

constexpr int first_with_tensor_cores = 80;  // as our kernels want them

// One row too many, which is in no order: a table of no rows is no array.
constexpr CudaConvRow table[] = {
#include "kernels/conv/conv_cuda_table.inc"
    {}};

bool suits_tf32(const CudaConvProblem& p) {
  const bool both = p.x_channels % 4 == 0 && p.y_channels % 4 == 0;
  switch (p.kind) {
    case ConvKind::forward: return p.x_channels % 4 == 0 && p.y_channels > gemm_tile_n(GemmTile::narrow);
    case ConvKind::weight_grad: return both && p.kernel_rows * p.kernel_columns * p.x_channels > gemm_tile_n(GemmTile::narrow);
    case ConvKind::input_grad: break;
  }
  return both && p.x_channels > gemm_tile_n(GemmTile::narrow);
}

// cuDNN takes a result of exactly the size that the convolution has, our kernels also a smaller one.
bool whole(const CudaConvProblem& p) {
  const auto size = [&](std::int64_t x, std::int64_t kernel) { return (x + 2 * p.pad - p.dilation * (kernel - 1) - 1) / p.stride + 1; };
  return p.x_channels > 0 && p.y_channels > 0 && p.batch > 0 && size(p.x_rows, p.kernel_rows) == p.y_rows &&
         size(p.x_columns, p.kernel_columns) == p.y_columns;
}

}  // namespace

const char* to_string(Factors factors) { return name_of(factors, {"f32", "tf32", "bf16"}); }
const char* to_string(ConvKind kind) { return name_of(kind, {"forward", "input_grad", "weight_grad"}); }
const char* to_string(CudaConvPath path) { return name_of(path, {"fma", "bf16", "tf32", "cudnn"}); }

bool possible(CudaConvPath path, const CudaConvProblem& p, int sm) {
  switch (path) {
    case CudaConvPath::fma: return p.factors != Factors::bf16 || sm < first_with_tensor_cores;  // else bf16 would not round
    case CudaConvPath::bf16: return p.factors == Factors::bf16 && sm >= first_with_tensor_cores;
    case CudaConvPath::tf32: return p.factors == Factors::tf32 && sm >= first_with_tensor_cores && suits_tf32(p);
    case CudaConvPath::cudnn: return whole(p) && (p.factors != Factors::bf16 || sm >= first_with_tensor_cores);
  }
  return false;
}

CudaConvPath cuda_conv_by_rule(const CudaConvProblem& p, int sm) {
  if (sm < first_with_tensor_cores || p.factors == Factors::f32) return CudaConvPath::fma;
  if (p.factors == Factors::bf16) return CudaConvPath::bf16;
  return suits_tf32(p) ? CudaConvPath::tf32 : CudaConvPath::fma;
}

const CudaConvRow* find_cuda_conv(const CudaConvRow* begin, const CudaConvRow* end, int sm, const CudaConvProblem& problem) {
  return find_row(begin, end, &CudaConvRow::sm, sm, problem);
}

CudaConvChoice choose_cuda_conv(const CudaConvProblem& p, int sm) {
  if (const std::optional<CudaConvOverride> requested = forced_cuda_conv()) {
    if (requested == CudaConvOverride::own) return {cuda_conv_by_rule(p, sm)};
    if (possible(CudaConvPath::cudnn, p, sm)) return {CudaConvPath::cudnn};
  }
  if (const CudaConvRow* row = find_cuda_conv(cuda_conv_table_begin(), cuda_conv_table_end(), sm, p)) return {row->path, row->algorithm};
  return {cuda_conv_by_rule(p, sm)};
}

std::optional<CudaConvOverride> forced_cuda_conv() {
  return choice_overridden<CudaConvOverride>(
      "G2S_CUDA_CONV", {{"own", CudaConvOverride::own}, {"cudnn", CudaConvOverride::cudnn}});
}

void observe_cuda_convs(std::function<void(const CudaConvProblem&)> f) { listen(std::move(f)); }
void note_cuda_conv(const CudaConvProblem& problem) { tell_listener(problem); }

const CudaConvRow* cuda_conv_table_begin() { return std::begin(table); }
const CudaConvRow* cuda_conv_table_end() { return std::end(table) - 1; }

}  // namespace g2s::kernels
