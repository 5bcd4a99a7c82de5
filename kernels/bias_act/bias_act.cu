// Bound by memory: each thread takes the same few channels of many pixels, so that what belongs to channels is read once.
#include "engine/cuda/launch.cuh"
#include "engine/cuda/pack.cuh"
#include "kernels/bias_act/bias_act.cuh"
#include "kernels/bias_act/bias_act_args.h"

namespace g2s::kernels {
namespace {

using std::int64_t;
using std::uint8_t;

constexpr int block = static_cast<int>(bias_act_block);

// Where a thread works: channels [channel, channel + vector) of the pixels first, first + step, ... below end of image b.
struct Place {
  int64_t channel_block, channel, b, first, end;
  int step;
  bool inside;  // its channels exist
};

template <class Args>
__device__ Place my_place(const Args& a, const BiasActTiling& tiling, cuda::FirstBlock first) {
  const int64_t begin = blockIdx.x * tiling.chunk, end = begin + tiling.chunk;
  Place p;
  p.channel_block = first.y + blockIdx.y;
  p.channel = (p.channel_block * blockDim.x + threadIdx.x) * tiling.vector;
  p.b = first.z + blockIdx.z;
  p.first = begin + threadIdx.y;
  p.end = end < a.pixels ? end : a.pixels;
  p.step = static_cast<int>(blockDim.y);
  p.inside = p.channel < a.channels;
  return p;
}

template <int V, class T>
__device__ __forceinline__ cuda::Pack<T, V> load_or(const T* p, int64_t at, T fallback) {
  if (p) return cuda::load<V>(p + at);
  cuda::Pack<T, V> pack;
  for (int i = 0; i < V; ++i) pack.v[i] = fallback;
  return pack;
}

template <class T, int V>
__global__ void __launch_bounds__(block, 4) forward(BiasActArgs<T> a, BiasActTiling tiling, cuda::FirstBlock first) {
  const Place at = my_place(a, tiling, first);
  if (!at.inside) return;
  const cuda::Pack<T, V> scale = load_or<V>(a.scale, at.b * a.channels + at.channel, T(1)), bias = load_or<V>(a.bias, at.channel, T(0));
  const T* noise = a.noise ? a.noise + (a.noise_shared ? 0 : at.b * a.pixels) : nullptr;
  const T weight = noise ? a.noise_weight[0] : T(0);
  for (int64_t p = at.first; p < at.end; p += at.step) {
    const int64_t i = (at.b * a.pixels + p) * a.channels + at.channel;
    const cuda::Pack<T, V> x = cuda::load<V>(a.x + i);
    const T added = noise ? weight * noise[p] : T(0);
    cuda::Pack<T, V> y;
    cuda::Pack<uint8_t, V> mask;
    for (int k = 0; k < V; ++k) {
      y.v[k] = bias_act_value(x.v[k], scale.v[k], noise != nullptr, added, bias.v[k], a.slope, a.gain);
      mask.v[k] = y.v[k] > 0;
    }
    cuda::store(a.y + i, y);
    if (a.mask) cuda::store(a.mask + i, mask);
  }
}

template <class T>
struct Sums { T s[block]; };

// The sums over the threads of equal number % width, in the threads below width; always in the same order. width divides the block.
template <class T>
__device__ T sum_rows(Sums<T>& sums, T value, int width) {
  const int me = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  sums.s[me] = value;
  for (int half = block / 2; half >= width; half /= 2) {
    __syncthreads();
    if (me < half) sums.s[me] += sums.s[me + half];
  }
  __syncthreads();
  const T sum = sums.s[me];
  __syncthreads();
  return sum;
}

enum class Wanted { nothing, bias, scale, noise };  // each with those before it

template <class T, int V, Wanted wanted>
__device__ void store_sums(const BiasActGradArgs<T>& a, const BiasActTiling& tiling, const Place& at, const T (&bias)[V],
                           const T (&scale)[V], T noise) {
  auto& sums = cuda::shared<Sums<T>>();
  const int width = static_cast<int>(blockDim.x);
  const int64_t chunk = at.b * tiling.chunks + blockIdx.x;
  T* out = a.partial + chunk * 2 * a.channels + at.channel;
  cuda::Pack<T, V> bias_total, scale_total;
  for (int k = 0; k < V; ++k) {
    bias_total.v[k] = sum_rows(sums, bias[k], width);
    if constexpr (wanted >= Wanted::scale) scale_total.v[k] = sum_rows(sums, scale[k], width);
  }
  if (threadIdx.y == 0 && at.inside) {
    cuda::store(out, bias_total);
    if constexpr (wanted >= Wanted::scale) cuda::store(out + a.channels, scale_total);
  }
  if constexpr (wanted == Wanted::noise) {
    const T total = sum_rows(sums, noise, 1);
    if (threadIdx.x == 0 && threadIdx.y == 0)
      a.partial[a.batch * tiling.chunks * 2 * a.channels + chunk * tiling.channel_blocks + at.channel_block] = total;
  }
}

template <class T, int V, Wanted wanted>
__global__ void __launch_bounds__(block, 4) backward(BiasActGradArgs<T> a, BiasActTiling tiling, cuda::FirstBlock first) {
  const Place at = my_place(a, tiling, first);
  T bias_sum[V] = {}, scale_sum[V] = {}, noise_sum = 0;
  if (at.inside) {
    const cuda::Pack<T, V> scale = load_or<V>(a.scale, at.b * a.channels + at.channel, T(1));
    const T low = a.gain * a.slope;
    for (int64_t p = at.first; p < at.end; p += at.step) {
      const int64_t i = (at.b * a.pixels + p) * a.channels + at.channel;
      const cuda::Pack<T, V> dy = cuda::load<V>(a.dy + i);
      const cuda::Pack<uint8_t, V> mask = load_or<V>(a.mask, i, uint8_t{1});
      cuda::Pack<T, V> dx, x{};
      if constexpr (wanted >= Wanted::scale) x = load_or<V>(a.x, i, T(0));
      T all = 0;
      for (int k = 0; k < V; ++k) {
        const T d = dy.v[k] * (mask.v[k] ? a.gain : low);
        dx.v[k] = d * scale.v[k];
        bias_sum[k] += d;
        scale_sum[k] += d * x.v[k];
        all += d;
      }
      if constexpr (wanted == Wanted::noise) noise_sum += all * a.noise[(a.noise_shared ? 0 : at.b * a.pixels) + p];
      cuda::store(a.dx + i, dx);
    }
  }
  if constexpr (wanted != Wanted::nothing) store_sums<T, V, wanted>(a, tiling, at, bias_sum, scale_sum, noise_sum);
}

constexpr int sum_lanes = 32, sum_rows_at_once = 16;

struct ColumnSums {
  double s[sum_rows_at_once][sum_lanes];
};

// out[g, c] = sum over r < rows of in[(g * rows + r) * pitch + c], for c < columns.
template <class T>
__global__ void sum_columns(const T* in, int64_t rows, int64_t pitch, int64_t columns, T* out, cuda::FirstBlock first) {
  auto& sums = cuda::shared<ColumnSums>();
  const int64_t c = int64_t{blockIdx.x} * sum_lanes + threadIdx.x, group = first.y + blockIdx.y;
  double sum = 0;
  if (c < columns)
    for (int64_t r = threadIdx.y; r < rows; r += sum_rows_at_once) sum += static_cast<double>(in[(group * rows + r) * pitch + c]);
  sums.s[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y > 0 || c >= columns) return;
  for (int r = 1; r < sum_rows_at_once; ++r) sum += sums.s[r][threadIdx.x];
  out[group * columns + c] = static_cast<T>(sum);
}

// out[0] = the sum of in[0, count).
template <class T>
__global__ void __launch_bounds__(block) sum_all(const T* in, int64_t count, T* out) {
  auto& sums = cuda::shared<Sums<double>>();
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += block) sum += static_cast<double>(in[i]);
  sum = sum_rows(sums, sum, 1);
  if (threadIdx.x == 0) out[0] = static_cast<T>(sum);
}

template <class T>
void launch_column_sums(const T* in, int64_t groups, int64_t rows, int64_t pitch, int64_t columns, T* out) {
  const dim3 blocks(cuda::blocks_for(columns, sum_lanes), static_cast<unsigned>(groups));
  cuda::launch_in_parts({"bias_act_sums", blocks, dim3(sum_lanes, sum_rows_at_once), sizeof(ColumnSums)}, sum_columns<T>, in, rows, pitch, columns,
               out);
}

cuda::Launch launch_of(const char* name, const BiasActTiling& tiling, int64_t batch, std::size_t shared_bytes) {
  return {name, dim3(static_cast<unsigned>(tiling.chunks), static_cast<unsigned>(tiling.channel_blocks), static_cast<unsigned>(batch)),
          dim3(static_cast<unsigned>(tiling.lanes), static_cast<unsigned>(bias_act_block / tiling.lanes)), shared_bytes};
}

// Several channels a thread are for float alone.
template <class T>
constexpr int vector_of = sizeof(T) == 4 ? 4 : 1;

template <class T>
void bias_act(const BiasActArgs<T>& a) {
  if (a.batch * a.pixels * a.channels == 0) return;
  const BiasActTiling tiling = bias_act_tiling(a.pixels, a.channels, sizeof(T) == 8);
  cuda::launch_in_parts(launch_of("bias_act", tiling, a.batch, 0), tiling.vector > 1 ? forward<T, vector_of<T>> : forward<T, 1>, a, tiling);
}

template <class T, Wanted wanted>
void launch_backward(const BiasActGradArgs<T>& a, const BiasActTiling& tiling) {
  cuda::launch_in_parts(launch_of("bias_act_grad", tiling, a.batch, sizeof(Sums<T>)),
               tiling.vector > 1 ? backward<T, vector_of<T>, wanted> : backward<T, 1, wanted>, a, tiling);
}

template <class T>
void bias_act_grad(const BiasActGradArgs<T>& a) {
  if (a.batch * a.pixels * a.channels == 0) return;
  const BiasActTiling tiling = bias_act_tiling(a.pixels, a.channels, sizeof(T) == 8);
  if (a.dnoise_weight) launch_backward<T, Wanted::noise>(a, tiling);
  else if (a.dscale) launch_backward<T, Wanted::scale>(a, tiling);
  else if (a.dbias) launch_backward<T, Wanted::bias>(a, tiling);
  else launch_backward<T, Wanted::nothing>(a, tiling);
  const int64_t chunks = a.batch * tiling.chunks;
  if (a.dbias) launch_column_sums(a.partial, 1, chunks, 2 * a.channels, a.channels, a.dbias);
  if (a.dscale) launch_column_sums(a.partial + a.channels, a.batch, tiling.chunks, 2 * a.channels, a.channels, a.dscale);
  if (a.dnoise_weight)
    cuda::launch({"bias_act_noise_sum", 1, block, sizeof(Sums<double>)}, sum_all<T>, a.partial + chunks * 2 * a.channels,
                 chunks * tiling.channel_blocks, a.dnoise_weight);
}

template <class T>
void mask_of(const BiasActMaskArgs<T>& a) {
  const T* y = a.y;
  uint8_t* mask = a.mask;
  cuda::each("bias_act_mask", a.count, [=] __device__(int64_t i) { mask[i] = y[i] > 0; });
}

}  // namespace

G2S_REAL_ENTRY(bias_act_mask_cuda, BiasActMaskArgs, mask_of)
G2S_REAL_ENTRY(bias_act_cuda, BiasActArgs, bias_act)
G2S_REAL_ENTRY(bias_act_grad_cuda, BiasActGradArgs, bias_act_grad)

}  // namespace g2s::kernels
