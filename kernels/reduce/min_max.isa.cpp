#include "engine/parallel.h"
#include "kernels/reduce/reduce_args.h"

namespace g2s::kernels::G2S_ISA {
namespace {

template <class T>
struct Extremes {
  T low, high;
  int nan;

  void add(T lo, T hi, int is_nan) {
    low = lo < low ? lo : low;
    high = hi > high ? hi : high;
    nan |= is_nan;
  }
};

template <class T>
Extremes<T> scan(const T* x, std::int64_t n) {
  T low = x[0], high = x[0];
  int nan = 0;
#pragma omp simd reduction(min : low) reduction(max : high) reduction(| : nan)
  for (std::int64_t i = 0; i < n; ++i) {
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
    nan |= x[i] != x[i];
  }
  return {low, high, nan};
}

// At most `most` pieces, so that their results fit on the stack.
template <class T>
void min_max(const MinMaxArgs& args) {
  constexpr std::int64_t most = 256;
  const T* x = static_cast<const T*>(args.x);
  std::int64_t block = (args.n + most - 1) / most;
  if (block < (1 << 15)) block = 1 << 15;
  Extremes<T> part[most];
  parallel_blocks(args.n, block, [&](std::int64_t begin, std::int64_t end) { part[begin / block] = scan(x + begin, end - begin); });
  Extremes<T> all = part[0];
  for (std::int64_t i = 1; i * block < args.n; ++i) all.add(part[i].low, part[i].high, part[i].nan);
  T* y = static_cast<T*>(args.y);
  y[0] = all.nan ? static_cast<T>(__builtin_nan("")) : all.low;
  y[1] = all.nan ? static_cast<T>(__builtin_nan("")) : all.high;
}

}  // namespace

void min_max_cpu(const MinMaxArgs& args) {
  if (args.f64) min_max<double>(args);
  else min_max<float>(args);
}

}  // namespace g2s::kernels::G2S_ISA
