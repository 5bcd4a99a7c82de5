// One thread an output, or four channels of one. It reads all its inputs itself: neighbouring outputs share them in the first-level cache,
// and the filters here have a few taps. The order of the sums is the CPU's: down each column, then across.
#include "engine/cuda/launch.cuh"
#include "engine/cuda/pack.cuh"
#include "kernels/resample/resample_args.h"

namespace g2s::kernels {
namespace {

using std::int64_t;

constexpr int block = 256;
constexpr int most_lanes = 32;

// Blocks: (columns and channels, rows, images). Threads: (channels, columns).
template <class T, int V>
__global__ void __launch_bounds__(block) resample(ResampleArgs<T> a, int channel_blocks, cuda::FirstBlock first) {
  const int64_t c = (static_cast<int64_t>(blockIdx.x % channel_blocks) * blockDim.x + threadIdx.x) * V;
  const int64_t column = static_cast<int64_t>(blockIdx.x / channel_blocks) * blockDim.y + threadIdx.y;
  const int64_t row = first.y + blockIdx.y, b = first.z + blockIdx.z;
  if (c >= a.channels || column >= a.cols.out) return;
  const int down = a.rows.count[row], across = a.cols.count[column];
  const T *row_weight = a.rows.weight + row * a.rows.taps, *column_weight = a.cols.weight + column * a.cols.taps;
  const T* x = a.x + ((b * a.rows.in + a.rows.start[row]) * a.cols.in + a.cols.start[column]) * a.channels + c;
  const int64_t line = a.cols.in * a.channels;
  cuda::Pack<T, V> sum{};
  for (int j = 0; j < across; ++j) {
    cuda::Pack<T, V> inner{};
    for (int i = 0; i < down; ++i) {
      const cuda::Pack<T, V> v = cuda::load<V>(x + i * line + j * a.channels);
      const T w = row_weight[i];
      for (int k = 0; k < V; ++k) inner.v[k] += w * v.v[k];
    }
    const T w = column_weight[j];
    for (int k = 0; k < V; ++k) sum.v[k] += w * inner.v[k];
  }
  cuda::store(a.y + ((b * a.rows.out + row) * a.cols.out + column) * a.channels + c, sum);
}

template <class T, int V>
void launch(const ResampleArgs<T>& a) {
  int lanes = 1;
  while (lanes < most_lanes && lanes * V < a.channels) lanes *= 2;
  const unsigned channel_blocks = cuda::blocks_for(a.channels, lanes * V), columns = static_cast<unsigned>(block / lanes);
  const dim3 blocks(channel_blocks * cuda::blocks_for(a.cols.out, columns), static_cast<unsigned>(a.rows.out),
                    static_cast<unsigned>(a.batch));
  cuda::launch_in_parts({"resample", blocks, dim3(static_cast<unsigned>(lanes), columns)}, resample<T, V>, a, static_cast<int>(channel_blocks));
}

}  // namespace

void resample_cuda(const ResampleArgs<float>& a) { a.channels % 4 == 0 ? launch<float, 4>(a) : launch<float, 1>(a); }
void resample_cuda(const ResampleArgs<double>& a) { launch<double, 1>(a); }

}  // namespace g2s::kernels
