// The convolution: a thread takes some channels of a strip of a column, so that each row is read once and serves the three outputs above,
// at and below it; columns meet in the first-level cache. The gradient to the weight: a thread sums over one row for one channel, and a
// second kernel adds the rows in order.
#include "engine/cuda/launch.cuh"
#include "engine/cuda/pack.cuh"
#include "kernels/depthwise_conv/depthwise_conv_args.h"

namespace g2s::kernels {
namespace {

using std::int64_t;

constexpr int block = 256;
constexpr int most_lanes = 32;
constexpr int strip = 8;  // rows of a thread

template <class T, int V>
using Pack = cuda::Pack<T, V>;

// The kernel at a thread's channels; with a style, that times the style.
template <class T, int V>
struct Taps {
  Pack<T, V> w[3][3];

  __device__ Taps(const DepthwiseConvArgs<T>& a, int64_t b, int64_t c) {
    for (int u = 0; u < 3; ++u)
      for (int v = 0; v < 3; ++v) w[u][v] = cuda::load<V>(a.w + (a.turned ? 8 - (3 * u + v) : 3 * u + v) * a.channels + c);
    if (!a.style) return;
    const Pack<T, V> style = cuda::load<V>(a.style + b * a.channels + c);
    for (int u = 0; u < 3; ++u)
      for (int v = 0; v < 3; ++v)
        for (int k = 0; k < V; ++k) w[u][v].v[k] *= style.v[k];
  }
};

// Blocks: (columns and channels, strips, images). Threads: (channels, columns).
template <class T, int V>
__global__ void __launch_bounds__(block) conv(DepthwiseConvArgs<T> a, int channel_blocks, cuda::FirstBlock first) {
  const int64_t c = (static_cast<int64_t>(blockIdx.x % channel_blocks) * blockDim.x + threadIdx.x) * V;
  const int64_t column = static_cast<int64_t>(blockIdx.x / channel_blocks) * blockDim.y + threadIdx.y;
  const int64_t begin = (first.y + blockIdx.y) * int64_t{strip}, b = first.z + blockIdx.z;
  if (c >= a.channels || column >= a.columns) return;
  const int64_t end = begin + strip < a.rows ? begin + strip : a.rows;
  const Taps<T, V> taps(a, b, c);
  Pack<T, V> above{}, at{};  // the outputs of the row before this one, and of this one, as far as they are known
  for (int64_t row = begin - 1; row <= end; ++row) {
    Pack<T, V> below{};
    if (row >= 0 && row < a.rows)
      for (int v = 0; v < 3; ++v) {
        if (column + v - 1 < 0 || column + v - 1 >= a.columns) continue;
        const Pack<T, V> x = cuda::load<V>(a.x + ((b * a.rows + row) * a.columns + column + v - 1) * a.channels + c);
        for (int k = 0; k < V; ++k) {
          above.v[k] += x.v[k] * taps.w[2][v].v[k];
          at.v[k] += x.v[k] * taps.w[1][v].v[k];
          below.v[k] += x.v[k] * taps.w[0][v].v[k];
        }
      }
    if (row > begin) cuda::store(a.y + ((b * a.rows + row - 1) * a.columns + column) * a.channels + c, above);
    above = at;
    at = below;
  }
}

template <class T, int V>
void launch_conv(const DepthwiseConvArgs<T>& a) {
  int lanes = 1;
  while (lanes < most_lanes && lanes * V < a.channels) lanes *= 2;
  const unsigned channel_blocks = cuda::blocks_for(a.channels, lanes * V), columns = static_cast<unsigned>(block / lanes);
  const dim3 blocks(channel_blocks * cuda::blocks_for(a.columns, columns), cuda::blocks_for(a.rows, strip), static_cast<unsigned>(a.batch));
  cuda::launch_in_parts({"depthwise_conv", blocks, dim3(static_cast<unsigned>(lanes), columns)}, conv<T, V>, a,
                        static_cast<int>(channel_blocks));
}

template <class Args>
bool empty(const Args& a) { return a.batch * a.rows * a.columns * a.channels == 0; }

// Blocks: (channels, rows, images).
template <class T>
__global__ void __launch_bounds__(block) correlate_rows(DepthwiseWeightGradArgs<T> a, cuda::FirstBlock first) {
  const int64_t c = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, row = first.y + blockIdx.y, b = first.z + blockIdx.z;
  if (c >= a.channels) return;
  const int64_t line = a.columns * a.channels;
  const T* dy = a.dy + (b * a.rows + row) * line + c;
  T sum[3][3] = {}, left[3] = {}, middle[3] = {}, right[3];
  for (int64_t column = -1; column < a.columns; ++column) {
    for (int u = 0; u < 3; ++u) {
      const int64_t from = row + u - 1;
      const bool inside = from >= 0 && from < a.rows && column + 1 < a.columns;
      right[u] = inside ? a.x[(b * a.rows + from) * line + (column + 1) * a.channels + c] : T(0);
    }
    if (column >= 0) {
      const T d = dy[column * a.channels];
      for (int u = 0; u < 3; ++u) {
        sum[u][0] += left[u] * d;
        sum[u][1] += middle[u] * d;
        sum[u][2] += right[u] * d;
      }
    }
    for (int u = 0; u < 3; ++u) {
      left[u] = middle[u];
      middle[u] = right[u];
    }
  }
  T* out = a.partial + (b * a.rows + row) * 9 * a.channels + c;
  for (int u = 0; u < 3; ++u)
    for (int v = 0; v < 3; ++v) out[(3 * u + v) * a.channels] = sum[u][v];
}

constexpr int sum_lanes = 32, sum_rows_at_once = 16;

struct RowSums {
  double s[sum_rows_at_once][sum_lanes];
};

// out[i] = the sum of in[r, i] over r < rows, i < width.
template <class T>
__global__ void sum_rows(const T* in, int64_t rows, int64_t width, T* out) {
  auto& sums = cuda::shared<RowSums>();
  const int64_t i = int64_t{blockIdx.x} * sum_lanes + threadIdx.x;
  double sum = 0;
  if (i < width)
    for (int64_t r = threadIdx.y; r < rows; r += sum_rows_at_once) sum += static_cast<double>(in[r * width + i]);
  sums.s[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y > 0 || i >= width) return;
  for (int r = 1; r < sum_rows_at_once; ++r) sum += sums.s[r][threadIdx.x];
  out[i] = static_cast<T>(sum);
}

template <class T>
void weight_grad(const DepthwiseWeightGradArgs<T>& a) {
  if (a.channels == 0) return;
  const int threads = a.channels > 128 ? block : a.channels > 32 ? 128 : 32;
  const dim3 blocks(cuda::blocks_for(a.channels, threads), static_cast<unsigned>(a.rows), static_cast<unsigned>(a.batch));
  if (!empty(a)) cuda::launch_in_parts({"depthwise_weight_grad", blocks, static_cast<unsigned>(threads)}, correlate_rows<T>, a);
  const int64_t rows = empty(a) ? 0 : a.batch * a.rows, width = 9 * a.channels;
  cuda::launch({"depthwise_weight_sums", cuda::blocks_for(width, sum_lanes), dim3(sum_lanes, sum_rows_at_once), sizeof(RowSums)},
               sum_rows<T>, a.partial, rows, width, a.dw);
}

}  // namespace

void depthwise_conv_cuda(const DepthwiseConvArgs<float>& a) {
  if (empty(a)) return;
  if (a.channels % 4 == 0 && cuda::packable<4>(a.x, a.w, a.style, a.y)) launch_conv<float, 4>(a);
  else launch_conv<float, 1>(a);
}
void depthwise_conv_cuda(const DepthwiseConvArgs<double>& a) {
  if (!empty(a)) launch_conv<double, 1>(a);
}
G2S_REAL_ENTRY(depthwise_weight_grad_cuda, DepthwiseWeightGradArgs, weight_grad)

}  // namespace g2s::kernels
