#include "engine/parallel.h"
#include "kernels/adam/adam_args.h"

namespace g2s::kernels::G2S_ISA {
namespace {

inline float root(float x) { return __builtin_sqrtf(x); }
inline double root(double x) { return __builtin_sqrt(x); }

// The operations in PyTorch's order, so that f32 results differ from its by no more than contraction.
template <class T>
void update(const AdamArgs& args, const AdamTensor& t, const AdamSize& size, std::int64_t begin, std::int64_t end) {
  T* parameter = static_cast<T*>(t.parameter);
  T* first = static_cast<T*>(t.first);
  T* second = static_cast<T*>(t.second);
  const T* gradient = static_cast<const T*>(t.gradient);
  T decay = static_cast<T>(args.weight_decay), beta2 = static_cast<T>(args.beta2), rest2 = static_cast<T>(1 - args.beta2);
  T step = static_cast<T>(-size.step), bias = static_cast<T>(size.root_bias2), eps = static_cast<T>(args.eps);
  // Linear interpolation from the end that is closer, as torch.lerp does.
  bool near_first = 1 - args.beta1 < 0.5;
  T weight = static_cast<T>(near_first ? 1 - args.beta1 : 1 - (1 - args.beta1));
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    T g = gradient[i] + decay * parameter[i];
    T m = near_first ? first[i] + weight * (g - first[i]) : g - (g - first[i]) * weight;
    T v = second[i] * beta2 + rest2 * g * g;
    first[i] = m;
    second[i] = v;
    parameter[i] += step * m / (root(v) / bias + eps);
  }
}

}  // namespace

void adam_cpu(const AdamArgs& args) {
  parallel_for(args.piece_count, [&](std::int64_t i) {
    const AdamPiece& p = args.pieces[i];
    const AdamTensor& t = args.tensors[p.tensor];
    const AdamSize& size = args.sizes[p.tensor];
    if (t.f64) update<double>(args, t, size, p.begin, p.end);
    else update<float>(args, t, size, p.begin, p.end);
  });
}

}  // namespace g2s::kernels::G2S_ISA
