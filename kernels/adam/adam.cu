// One launch for up to `most` parameters: a table of them travels with the launch, each block finds its parameter in it. Step sizes and bias
// corrections are read from the device's memory, so that a captured graph can be launched again for the next step.
#include <cmath>

#include "engine/cuda/launch.cuh"
#include "engine/cuda/pack.cuh"
#include "kernels/adam/adam_args.h"

namespace g2s::kernels {
namespace {

constexpr int most = 64;
constexpr unsigned threads = 256;
constexpr int pack = 4;
constexpr std::int64_t per_block = threads * pack * 4;  // elements

template <class T>
struct Entry {
  T* parameter;
  const T* gradient;
  T* first;
  T* second;
  std::int64_t n;
  const AdamSize* size;
};

template <class T>
struct Table {
  Entry<T> entry[most];
  std::uint32_t first_block[most + 1];  // of each entry, then the end
  std::int32_t count;
  bool near_first;
  T weight, beta2, rest2, eps, decay;
};
static_assert(sizeof(Table<double>) <= 4096, "what a launch can carry on every device");

// The operations in PyTorch's order, with the multiply-adds that it fuses.
template <class T>
__device__ inline void update(const Table<T>& a, T step, T bias, T gradient, T& parameter, T& first, T& second) {
  const T g = std::fma(a.decay, parameter, gradient);
  // Linear interpolation from the end that is closer, as torch.lerp does.
  first = a.near_first ? std::fma(a.weight, g - first, first) : std::fma(first - g, a.weight, g);
  second = std::fma(a.rest2 * g, g, second * a.beta2);
  parameter += step * first / (std::sqrt(second) / bias + a.eps);
}

template <class T>
__global__ void __launch_bounds__(threads) adam_step(const __grid_constant__ Table<T> a) {
  int low = 0, high = a.count;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (blockIdx.x < a.first_block[middle]) high = middle;
    else low = middle;
  }
  const Entry<T>& e = a.entry[low];
  const T step = static_cast<T>(-e.size->step), bias = static_cast<T>(e.size->root_bias2);
  const std::int64_t begin = (blockIdx.x - a.first_block[low]) * per_block, end = begin + per_block < e.n ? begin + per_block : e.n;
  const auto places = reinterpret_cast<std::uintptr_t>(e.parameter) | reinterpret_cast<std::uintptr_t>(e.gradient) |
                      reinterpret_cast<std::uintptr_t>(e.first) | reinterpret_cast<std::uintptr_t>(e.second);
  std::int64_t rest = begin;  // first element that is not part of a pack
  if (places % (pack * sizeof(T)) == 0) {
    rest = end - (end - begin) % pack;
    for (std::int64_t i = begin + threadIdx.x * pack; i < rest; i += threads * pack) {
      auto p = cuda::load<pack>(e.parameter + i), m = cuda::load<pack>(e.first + i), v = cuda::load<pack>(e.second + i);
      const auto g = cuda::load<pack>(e.gradient + i);
      for (int j = 0; j < pack; ++j) update(a, step, bias, g.v[j], p.v[j], m.v[j], v.v[j]);
      cuda::store(e.parameter + i, p);
      cuda::store(e.first + i, m);
      cuda::store(e.second + i, v);
    }
  }
  for (std::int64_t i = rest + threadIdx.x; i < end; i += threads) update(a, step, bias, e.gradient[i], e.parameter[i], e.first[i], e.second[i]);
}

template <class T>
void launch_table(Table<T>& table) {
  if (table.count > 0) cuda::launch({"adam", table.first_block[table.count], threads}, adam_step<T>, table);
  table.count = 0;
}

// All parameters of one type.
template <class T>
void adam(const AdamArgs& args) {
  Table<T> table{};
  table.near_first = 1 - args.beta1 < 0.5;
  table.weight = static_cast<T>(table.near_first ? 1 - args.beta1 : 1 - (1 - args.beta1));
  table.beta2 = static_cast<T>(args.beta2), table.rest2 = static_cast<T>(1 - args.beta2);
  table.eps = static_cast<T>(args.eps), table.decay = static_cast<T>(args.weight_decay);
  for (std::int64_t i = 0; i < args.tensor_count; ++i) {
    const AdamTensor& t = args.tensors[i];
    if (t.n == 0 || t.f64 != std::is_same_v<T, double>) continue;
    const int at = table.count++;
    table.entry[at] = {static_cast<T*>(t.parameter), static_cast<const T*>(t.gradient), static_cast<T*>(t.first), static_cast<T*>(t.second), t.n,
                       args.sizes + i};
    table.first_block[at + 1] = table.first_block[at] + cuda::blocks_for(t.n, per_block);
    if (table.count == most) launch_table(table);
  }
  launch_table(table);
}

}  // namespace

void adam_cuda(const AdamArgs& args) {
  adam<float>(args);
  adam<double>(args);
}

}  // namespace g2s::kernels
