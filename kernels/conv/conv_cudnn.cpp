#include "kernels/conv/conv_cudnn.h"

#include <algorithm>
#include <map>
#include <memory>
#include <tuple>

#include "engine/autograd.h"
#include "engine/context.h"
#include "kernels/matmul/constant_cache.h"

namespace g2s::kernels {
namespace {

using cuda::dnn::Convolution;
using cuda::dnn::ExecutionPlan;
using cuda::dnn::Layout;
using cuda::dnn::Operation;
using cuda::dnn::Type;

constexpr std::int64_t usual_alignment = 16;                    // bytes: a vector of four
constexpr std::size_t most_workspace = std::size_t{256} << 20;  // of an engine that nobody has named

Layout layout(Type type, std::int64_t n, std::int64_t rows, std::int64_t columns, std::int64_t channels) {
  return {type, {n, channels, rows, columns}, {rows * columns * channels, 1, columns * channels, channels}, usual_alignment};
}

// What the pointer keeps of the usual alignment: a tensor may begin anywhere in another.
std::int64_t alignment_of(const Tensor& t) {
  const auto address = reinterpret_cast<std::uintptr_t>(t.raw());
  return std::min<std::int64_t>(usual_alignment, static_cast<std::int64_t>(address & (~address + 1)));
}

struct Plans {
  std::map<std::pair<Convolution, std::string>, std::unique_ptr<ExecutionPlan>> made;
};

// The plan of each convolution, made once by each thread: one is not for several at a time. Null where there is none.
const ExecutionPlan* plan_of(const Convolution& c, const char* algorithm) {
  const auto [it, is_new] = thread_object<Plans>().made.try_emplace({c, algorithm ? algorithm : ""});
  if (!is_new) return it->second.get();
  if (algorithm) {
    it->second = cuda::dnn::plan(c, cuda::algorithm_from(algorithm));
    return it->second.get();
  }
  for (const cuda::Algorithm& engine : cuda::dnn::engines(c)) {
    std::unique_ptr<ExecutionPlan> plan = cuda::dnn::plan(c, engine);
    if (!plan || plan->workspace() > most_workspace) continue;
    it->second = std::move(plan);
    break;
  }
  return it->second.get();
}

// In the type that the engine reads.
Tensor factor(const Tensor& t, Factors factors) {
  if (factors != Factors::bf16) return t.detach();
  return cached_from_constant(t, "conv.bf16", [&] { return t.detach().to(DType::bf16); });
}

// The epilogue in place.
void finish(const CudaConvProblem& p, Tensor& result, const Fused& fused) {
  ConvArgs<float> a{};
  a.kind = ConvKind::forward;
  a.shape.batch = p.batch, a.shape.y_rows = p.y_rows, a.shape.y_columns = p.y_columns, a.shape.y_channels = p.y_channels;
  a.result = a.partial = result.mutable_ptr<float>();
  a.split_k = 1;
  a.epilogue = fused.epilogue;
  a.mask = fused.mask ? fused.mask->mutable_ptr<std::uint8_t>() : nullptr;
  conv_finish_f32(a);
}

}  // namespace

CudaConvProblem problem_of(ConvKind kind, Factors factors, const ConvShape& s) {
  return {kind,           factors,          s.batch,  s.x_rows, s.x_columns, s.x_channels, s.y_rows, s.y_columns, s.y_channels,
          s.kernel_rows,  s.kernel_columns, s.stride, s.pad,    s.dilation};
}

Convolution describe(const CudaConvProblem& p) {
  const Type type = p.factors == Factors::bf16 ? Type::bf16 : Type::f32;
  Convolution c{};
  c.operation = p.kind == ConvKind::forward      ? Operation::forward
                : p.kind == ConvKind::weight_grad ? Operation::filter
                                                      : Operation::data;
  c.x = layout(type, p.batch, p.x_rows, p.x_columns, p.x_channels);
  c.w = layout(type, p.y_channels, p.kernel_rows, p.kernel_columns, p.x_channels);
  c.y = layout(type, p.batch, p.y_rows, p.y_columns, p.y_channels);
  c.result().type = Type::f32;
  for (int axis = 0; axis < 2; ++axis) c.pad[axis] = p.pad, c.stride[axis] = p.stride, c.dilation[axis] = p.dilation;
  c.tensor_cores = p.factors == Factors::tf32;
  return c;
}

bool conv_cudnn(const CudaConvProblem& problem, const char* algorithm, const Tensor& first, const Tensor& second, Tensor& result, const Fused& fused) {
  const NoGrad no_grad;
  const Tensor left = factor(fused.style ? times_style(first, *fused.style) : first, problem.factors), right = factor(second, problem.factors);
  Convolution c = describe(problem);
  const bool forward = c.operation == Operation::forward, data = c.operation == Operation::data;
  const Tensor &x = data ? result : left, &w = forward || data ? right : result, &y = forward ? result : data ? left : right;
  c.x.alignment = alignment_of(x), c.w.alignment = alignment_of(w), c.y.alignment = alignment_of(y);
  const ExecutionPlan* plan = plan_of(c, algorithm);
  if (!plan) return false;
  Tensor workspace;
  if (plan->workspace() > 0) workspace = Tensor::empty({static_cast<std::int64_t>(plan->workspace())}, DType::u8, result.device());
  plan->run(x.raw(), w.raw(), y.raw(), workspace.defined() ? workspace.mutable_raw() : nullptr);
  if (fused.epilogue) finish(problem, result, fused);
  return true;
}

}  // namespace g2s::kernels
