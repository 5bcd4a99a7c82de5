// The host's side of the convolutions on CUDA: each of the three is one matrix product, whose sizes decide how it is cut.
#include <algorithm>
#include <limits>

#include "engine/cuda/sm_version.h"
#include "engine/precision.h"
#include "kernels/conv/conv_cudnn.h"
#include "kernels/conv/conv_paths.h"
#include "kernels/matmul/math_mode.h"

namespace g2s::kernels {
namespace {

struct GemmSizes {
  std::int64_t m, n, k, slices;
  bool vectors;
};

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

GemmSizes sizes_of(ConvKind kind, const ConvShape& s) {
  const std::int64_t taps = s.kernel_rows * s.kernel_columns, pixels = s.batch * s.y_rows * s.y_columns;
  const bool x_whole = s.x_channels % 4 == 0, both_whole = x_whole && s.y_channels % 4 == 0;
  switch (kind) {
    case ConvKind::forward: return {pixels, s.y_channels, taps * s.x_channels, 1, x_whole};
    case ConvKind::weight_grad: return {s.y_channels, taps * s.x_channels, pixels, 1, both_whole};
    case ConvKind::input_grad: break;
  }
  // A product for each phase of the stride, of the sizes of the largest.
  const std::int64_t between = conv_taps_between(s), met = divide_up(s.kernel_rows, between) * divide_up(s.kernel_columns, between);
  return {s.batch * divide_up(s.x_rows, s.stride) * divide_up(s.x_columns, s.stride), s.x_channels, met * s.y_channels,
          std::min(s.stride, s.x_rows) * std::min(s.stride, s.x_columns), both_whole};
}

// Kernels count elements of an image and of the weight, pixels, and rows of products in 32 bits.
void check_sizes(const ConvShape& s, const Tensor& first) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max() - 4096;
  const std::int64_t x_pixels = s.x_rows * s.x_columns, y_pixels = s.y_rows * s.y_columns;
  const std::int64_t weight = s.kernel_rows * s.kernel_columns * s.x_channels * s.y_channels;
  for (std::int64_t size : {x_pixels * s.x_channels, y_pixels * s.y_channels, s.batch * x_pixels, s.batch * y_pixels, weight})
    check(size <= most, "conv", "a picture, the weight or the batch is too large: ", describe(first));
}

template <class T>
ConvArgs<T> args_of(ConvKind kind, const ConvShape& s, MathMode mode, const Tensor& first, const Tensor& second, Tensor& result,
                    Tensor& partial) {
  const GemmSizes p = sizes_of(kind, s);
  const bool f64 = result.dtype() == DType::f64, vectors = p.vectors && !f64;
  const GemmTiling tiling = tiling_for(mode, gemm_tiling(p.m, p.n, p.k, p.slices, vectors, f64), p.k);
  if (tiling.split_k > 1) partial = Tensor::empty({tiling.split_k, result.numel()}, result.dtype(), result.device());
  ConvArgs<T> a{};
  a.kind = kind;
  a.shape = s;
  a.first = first.ptr<T>();
  a.second = second.ptr<T>();
  a.result = result.mutable_ptr<T>();
  a.partial = partial.defined() ? partial.mutable_ptr<T>() : nullptr;
  a.vectors = vectors;
  a.y_vectors = !f64 && !vectors && kind != ConvKind::forward && s.y_channels % 4 == 0;
  a.mode = static_cast<std::int32_t>(mode);
  a.tile = static_cast<std::int32_t>(tiling.tile), a.split_k = tiling.split_k, a.steps = tiling.steps;
  return a;
}

// A table may name cuDNN on machines that lack it; an override may not.
bool cudnn_there() {
  const std::string reason = cuda::dnn::unavailable_reason();
  if (!reason.empty() && forced_cuda_conv() == CudaConvOverride::cudnn)
    fail(Errc::unsupported, "G2S_CUDA_CONV", "cudnn is forced, but ", reason);
  return reason.empty();
}

}  // namespace

// Of bf16, as on the CPU, weight gradients stay f32.
Factors conv_factors(ConvKind kind) {
  MathMode wanted = MathMode::fma;
  if (precision() == Precision::tf32) wanted = MathMode::tf32;
  if (precision() == Precision::bf16 && kind != ConvKind::weight_grad) wanted = MathMode::bf16;
  switch (math_mode(wanted)) {
    case MathMode::bf16: return Factors::bf16;
    case MathMode::tf32: return Factors::tf32;
    case MathMode::fma: break;
  }
  return Factors::f32;
}

void conv_cuda(ConvKind kind, const ConvShape& s, const Tensor& first, const Tensor& second, Tensor& result, const Fused& fused) {
  if (result.numel() == 0) return;
  check_sizes(s, first);
  Tensor partial;
  if (result.dtype() == DType::f64) return conv_f64(args_of<double>(kind, s, MathMode::fma, first, second, result, partial));
  const CudaConvProblem problem = problem_of(kind, conv_factors(kind), s);
  const int sm = cuda::sm_version();
  CudaConvChoice choice = choose_cuda_conv(problem, sm);
  if (choice.path == CudaConvPath::cudnn) {
    if (cudnn_there() && conv_cudnn(problem, choice.algorithm, first, second, result, fused)) return;
    choice = {cuda_conv_by_rule(problem, sm)};
  }
  ConvArgs<float> a = args_of<float>(kind, s, math_mode(static_cast<MathMode>(choice.path)), first, second, result, partial);
  a.epilogue = fused.epilogue;
  a.mask = fused.mask ? fused.mask->mutable_ptr<std::uint8_t>() : nullptr;
  a.style = fused.style ? fused.style->ptr<float>() : nullptr;
  conv_f32(a);
}

}  // namespace g2s::kernels
