#include "engine/accumulate.h"

#include "engine/accelerator.h"
#include "engine/autograd.h"
#include "engine/parallel.h"

namespace g2s {
namespace {

template <class T>
void add(const T* a, const T* b, T* y, std::int64_t n) {
  parallel_blocks(n, 1 << 15, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) y[i] = a[i] + b[i];
  });
}

}  // namespace

Tensor accumulate(Tensor total, const Tensor& more, bool differentiable) {
  // A handle and a storage with one owner each: no other tensor shares this memory.
  bool in_place = !differentiable && !total.is_constant() && total.storage().use_count() == 1 && total.unique();
  Tensor out = in_place ? total : Tensor::empty(total.shape(), total.dtype(), total.device());
  if (total.on_cuda()) accelerator(total.device(), "accumulate").add(total.dtype(), total.raw(), more.raw(), out.mutable_raw(), out.numel());
  else if (total.dtype() == DType::f64) add(total.data<double>(), more.data<double>(), out.mutable_data<double>(), out.numel());
  else add(total.data<float>(), more.data<float>(), out.mutable_data<float>(), out.numel());
  if (!differentiable) return out;
  return record(out, "accumulate", {total, more}, [](const BackwardArgs& a) { return std::vector<Tensor>{a.dy, a.dy}; });
}

}  // namespace g2s
