// Who computes which f32 convolution on CUDA: what conv_cuda_table.inc says of its shape and the device's SM version, else a rule. As on the
// CPU (conv_choice.h) never a measurement while a user waits.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "kernels/conv/conv_args.h"
#include "kernels/matmul/tiled_gemm_args.h"

namespace g2s::kernels {

// What the factors of a product may be rounded to; sums are f32.
enum class Factors : std::int32_t { f32, tf32, bf16 };
const char* to_string(Factors factors);

// What this run's precision lets a convolution's factors be rounded to on CUDA.
Factors conv_factors(ConvKind kind);

const char* to_string(ConvKind kind);

struct CudaConvProblem {
  ConvKind kind;
  Factors factors;
  std::int64_t batch, x_rows, x_columns, x_channels, y_rows, y_columns, y_channels;  // as in ConvShape
  std::int64_t kernel_rows, kernel_columns, stride, pad, dilation;

  auto operator<=>(const CudaConvProblem&) const = default;
};

enum class CudaConvPath : std::int32_t { fma, bf16, tf32, cudnn };  // the first three are our own kernels in a math mode
const char* to_string(CudaConvPath path);

// `algorithm`: cuDNN's engine and knobs that were measured (engine/cuda/algorithm.h), or null: the first that it suggests.
struct CudaConvChoice {
  CudaConvPath path;
  const char* algorithm = nullptr;
};

// With tensor cores or without: what rounds no more than the factors may be, and is there on `sm`.
bool possible(CudaConvPath path, const CudaConvProblem& problem, int sm);
CudaConvChoice choose_cuda_conv(const CudaConvProblem& problem, int sm);
// The rule alone, for what nobody has measured: our own kernels. Those of tensor cores where the factors may be rounded, the device has them,
// and in tf32 the shape suits them (whole vectors of channels and more than 16 columns).
CudaConvPath cuda_conv_by_rule(const CudaConvProblem& problem, int sm);

// The override G2S_CUDA_CONV=own|cudnn (engine/context.h).
// `own` is the rule's. A convolution for which the override is not possible goes as it would without.
enum class CudaConvOverride { own, cudnn };
std::optional<CudaConvOverride> forced_cuda_conv();

// Calls `observer` with every f32 convolution that this context computes on any device from now on, from the computing thread, in factors f32; an
// empty one ends this.
void observe_cuda_convs(std::function<void(const CudaConvProblem&)> observer);
void note_cuda_conv(const CudaConvProblem& problem);

// One row of the table, in ascending order of SM version (75 for sm_75) and problem.
struct CudaConvRow {
  int sm;
  CudaConvProblem problem;
  CudaConvPath path;
  const char* algorithm = nullptr;
};
const CudaConvRow* cuda_conv_table_begin();
const CudaConvRow* cuda_conv_table_end();
// The row of a table that ends at `end`, or null.
const CudaConvRow* find_cuda_conv(const CudaConvRow* begin, const CudaConvRow* end, int sm, const CudaConvProblem& problem);

}  // namespace g2s::kernels
