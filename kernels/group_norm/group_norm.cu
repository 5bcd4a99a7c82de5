// Both passes: sums over chunks of pixels, one block for each chunk of an image and tile of channels; what a group makes of its chunks, one
// block for each; then every element by itself, with coefficients of its channel. Sums of a chunk are in T about a shift, what adds them is
// in double.
#include "engine/cuda/launch.cuh"
#include "engine/cuda/pack.cuh"
#include "kernels/group_norm/group_norm_args.h"

namespace g2s::kernels {
namespace {

using cuda::Pack;
using std::int64_t;

constexpr unsigned threads = 256;
constexpr unsigned merge_threads = 128;
constexpr unsigned widest = 32;  // channels of a tile: neighbouring threads have neighbouring channels, then pixels

template <class A, class B>
struct Pairs {
  A a[threads];
  B b[threads];
};

// Leaves the sum over all rows of `width` threads in the first of them, always in the same order.
template <class Tile>
__device__ inline void add_rows(Tile& s, unsigned width, unsigned rows) {
  const unsigned t = threadIdx.x, row = t / width;
  unsigned half = 1;
  while (2 * half < rows) half *= 2;
  for (; half > 0; half /= 2) {
    __syncthreads();
    if (row < half && row + half < rows) {
      s.a[t] += s.a[t + half * width];
      s.b[t] += s.b[t + half * width];
    }
  }
}

// The sum over a block of merge_threads, in every thread.
__device__ inline double block_sum(double (&room)[threads], double value) {
  const unsigned t = threadIdx.x;
  __syncthreads();
  room[t] = value;
  for (unsigned half = merge_threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (t < half) room[t] += room[t + half];
  }
  __syncthreads();
  return room[0];
}

// How the chunks of a batch are cut into blocks.
struct Tiling {
  unsigned width, rows;
  int64_t tiles, chunk, chunks, blocks;
};

template <class Args>
Tiling tiling_of(const Args& a) {
  Tiling tiling;
  tiling.width = a.channels < widest ? static_cast<unsigned>(a.channels) : widest;
  tiling.rows = threads / tiling.width;
  tiling.tiles = (a.channels + tiling.width - 1) / tiling.width;
  tiling.chunk = group_norm_chunk(a.channels);
  tiling.chunks = group_norm_chunks(a.pixels, a.channels);
  tiling.blocks = a.batch * tiling.chunks * tiling.tiles;
  return tiling;
}

// What one thread of a block does.
struct Share {
  int64_t b, k, channel, begin, pixels;  // image, chunk, its channel, first pixel of the chunk, pixels of it
  unsigned row;
  bool works;
};

template <class Args>
__device__ inline Share share_of(const Args& a, const Tiling& tiling) {
  Share s;
  const int64_t piece = blockIdx.x / tiling.tiles;
  s.b = piece / tiling.chunks, s.k = piece % tiling.chunks;
  s.channel = blockIdx.x % tiling.tiles * tiling.width + threadIdx.x % tiling.width;
  s.begin = s.k * tiling.chunk;
  s.pixels = a.pixels - s.begin < tiling.chunk ? a.pixels - s.begin : tiling.chunk;
  s.row = threadIdx.x / tiling.width;
  s.works = s.row < tiling.rows && s.channel < a.channels;
  return s;
}

// Sums of x - shift and of its square, where shift is the chunk's first pixel: safe when the mean is large against the deviation.
template <class T>
__global__ void __launch_bounds__(threads) chunk_moments(GroupNormArgs<T> a, Tiling tiling) {
  auto& s = cuda::shared<Pairs<T, T>>();
  const Share own = share_of(a, tiling);
  T shift = 0, sum = 0, squares = 0;
  if (own.works) {
    const T* x = a.x + (own.b * a.pixels + own.begin) * a.channels + own.channel;
    shift = x[0];
    for (int64_t p = own.row; p < own.pixels; p += tiling.rows) {
      const T d = x[p * a.channels] - shift;
      sum += d;
      squares += d * d;
    }
  }
  s.a[threadIdx.x] = sum, s.b[threadIdx.x] = squares;
  add_rows(s, tiling.width, tiling.rows);
  if (!own.works || own.row > 0) return;
  T* to = a.partial + (own.b * tiling.chunks + own.k) * 3 * a.channels + own.channel;
  to[0] = shift, to[a.channels] = s.a[threadIdx.x], to[2 * a.channels] = s.b[threadIdx.x];
}

// The mean of one group from all chunks and channels, then the squares about it: with d = mean - shift,
// sum (x - mean)^2 = sum (x - shift)^2 - 2 d sum (x - shift) + n d^2.
template <class T>
__global__ void __launch_bounds__(merge_threads) merge_moments(GroupNormArgs<T> a, Tiling tiling) {
  auto& s = cuda::shared<Pairs<double, double>>();
  const int64_t per_group = a.channels / a.groups, b = blockIdx.x / a.groups, first = blockIdx.x % a.groups * per_group;
  const int64_t terms = tiling.chunks * per_group;
  const double count = static_cast<double>(a.pixels) * static_cast<double>(per_group);
  const T* image = a.partial + b * tiling.chunks * 3 * a.channels + first;
  double sum = 0, squares = 0;
  for (int64_t j = threadIdx.x; j < terms; j += merge_threads) {
    const int64_t k = j / per_group, left = a.pixels - k * tiling.chunk;
    const T* from = image + k * 3 * a.channels + j % per_group;
    sum += static_cast<double>(left < tiling.chunk ? left : tiling.chunk) * static_cast<double>(from[0]) +
           static_cast<double>(from[a.channels]);
  }
  const double mean = block_sum(s.a, sum) / count;
  for (int64_t j = threadIdx.x; j < terms; j += merge_threads) {
    const int64_t k = j / per_group, left = a.pixels - k * tiling.chunk;
    const T* from = image + k * 3 * a.channels + j % per_group;
    const double n = static_cast<double>(left < tiling.chunk ? left : tiling.chunk), d = mean - static_cast<double>(from[0]);
    squares += static_cast<double>(from[2 * a.channels]) - d * (2 * static_cast<double>(from[a.channels]) - n * d);
  }
  squares = block_sum(s.a, squares);
  const double rstd = 1 / std::sqrt((squares > 0 ? squares : 0) / count + a.eps);
  if (threadIdx.x == 0) a.stats[2 * blockIdx.x] = mean, a.stats[2 * blockIdx.x + 1] = rstd;
  for (int64_t i = threadIdx.x; i < per_group; i += merge_threads) {
    const double scale = rstd * static_cast<double>(a.weight[first + i]);
    T* to = a.coefficients + b * 2 * a.channels + first + i;
    to[0] = static_cast<T>(scale);
    to[a.channels] = static_cast<T>(static_cast<double>(a.bias[first + i]) - mean * scale);
  }
}

template <int n, class T>
void normalize(const GroupNormArgs<T>& a) {
  const int64_t packs = a.channels / n, image = a.pixels * packs;
  cuda::each("group_norm_apply", a.batch * image, [=] __device__(int64_t i) {
    const T* from = a.coefficients + i / image * 2 * a.channels + i % packs * n;
    const Pack<T, n> scale = cuda::load<n>(from), offset = cuda::load<n>(from + a.channels);
    Pack<T, n> v = cuda::load<n>(a.x + i * n);
    for (int j = 0; j < n; ++j) {
      const T y = scale.v[j] * v.v[j] + offset.v[j];
      v.v[j] = y > 0 ? y : y * a.slope;
    }
    cuda::store(a.y + i * n, v);
  });
}

template <class T>
void group_norm(const GroupNormArgs<T>& a, bool packed) {
  const Tiling tiling = tiling_of(a);
  cuda::launch({"group_norm_chunks", cuda::blocks_for(tiling.blocks, 1), threads, sizeof(Pairs<T, T>)}, chunk_moments<T>, a, tiling);
  cuda::launch({"group_norm_merge", cuda::blocks_for(a.batch * a.groups, 1), merge_threads, sizeof(Pairs<double, double>)},
               merge_moments<T>, a, tiling);
  packed ? normalize<4>(a) : normalize<1>(a);
}

// Sums of dpre and dpre * xhat over the pixels of a chunk.
template <class T>
__global__ void __launch_bounds__(threads) chunk_grad_sums(GroupNormGradArgs<T> a, Tiling tiling) {
  auto& s = cuda::shared<Pairs<T, T>>();
  const Share own = share_of(a, tiling);
  T sum = 0, product = 0;
  if (own.works) {
    const double* stats = a.stats + 2 * (own.b * a.groups + own.channel / (a.channels / a.groups));
    const double wide = stats[1] * static_cast<double>(a.weight[own.channel]);
    const T scale = static_cast<T>(wide), offset = static_cast<T>(static_cast<double>(a.bias[own.channel]) - stats[0] * wide);
    const T rstd = static_cast<T>(stats[1]), centre = static_cast<T>(-stats[0] * stats[1]);
    const int64_t start = (own.b * a.pixels + own.begin) * a.channels + own.channel;
    for (int64_t p = own.row; p < own.pixels; p += tiling.rows) {
      const T x = a.x[start + p * a.channels], dy = a.dy[start + p * a.channels];
      const T d = scale * x + offset > 0 ? dy : dy * a.slope;
      sum += d;
      product += d * (rstd * x + centre);
    }
  }
  s.a[threadIdx.x] = sum, s.b[threadIdx.x] = product;
  add_rows(s, tiling.width, tiling.rows);
  if (!own.works || own.row > 0) return;
  T* to = a.partial + (own.b * tiling.chunks + own.k) * 2 * a.channels + own.channel;
  to[0] = s.a[threadIdx.x], to[a.channels] = s.b[threadIdx.x];
}

// The sums of a group's channels over the image, their means over the group, and from these the coefficients of dx.
template <class T>
__global__ void __launch_bounds__(merge_threads) merge_grad_sums(GroupNormGradArgs<T> a, Tiling tiling) {
  auto& s = cuda::shared<Pairs<double, double>>();
  const int64_t per_group = a.channels / a.groups, b = blockIdx.x / a.groups, first = blockIdx.x % a.groups * per_group;
  const unsigned t = threadIdx.x, width = per_group < widest ? static_cast<unsigned>(per_group) : widest, rows = merge_threads / width;
  double grads = 0, products = 0;
  for (int64_t c0 = 0; c0 < per_group; c0 += width) {
    const int64_t c = c0 + t % width, channel = first + c;
    const unsigned row = t / width;
    double sum = 0, product = 0;
    if (row < rows && c < per_group)
      for (int64_t k = row; k < tiling.chunks; k += rows) {
        const T* from = a.partial + (b * tiling.chunks + k) * 2 * a.channels + channel;
        sum += static_cast<double>(from[0]);
        product += static_cast<double>(from[a.channels]);
      }
    s.a[t] = sum, s.b[t] = product;
    add_rows(s, width, rows);
    if (row == 0 && c < per_group) {
      a.sums[b * 2 * a.channels + channel] = s.a[t];
      a.sums[(b * 2 + 1) * a.channels + channel] = s.b[t];
      grads += static_cast<double>(a.weight[channel]) * s.a[t];
      products += static_cast<double>(a.weight[channel]) * s.b[t];
    }
    __syncthreads();
  }
  const double count = static_cast<double>(a.pixels) * static_cast<double>(per_group);
  const double mean_grad = block_sum(s.a, grads) / count, mean_product = block_sum(s.a, products) / count;
  const double mean = a.stats[2 * blockIdx.x], rstd = a.stats[2 * blockIdx.x + 1];
  const double slant = -rstd * rstd * mean_product;
  for (int64_t channel = first + t; channel < first + per_group; channel += merge_threads) {
    const double scale = rstd * static_cast<double>(a.weight[channel]);
    T* to = a.coefficients + b * 5 * a.channels + channel;
    to[0] = static_cast<T>(scale);
    to[a.channels] = static_cast<T>(static_cast<double>(a.bias[channel]) - mean * scale);
    to[2 * a.channels] = static_cast<T>(scale);
    to[3 * a.channels] = static_cast<T>(slant);
    to[4 * a.channels] = static_cast<T>(-rstd * mean_grad - slant * mean);
  }
}

template <int n, class T>
void correct(const GroupNormGradArgs<T>& a) {
  const int64_t packs = a.channels / n, image = a.pixels * packs;
  cuda::each("group_norm_grad_apply", a.batch * image, [=] __device__(int64_t i) {
    const T* from = a.coefficients + i / image * 5 * a.channels + i % packs * n;
    const Pack<T, n> scale = cuda::load<n>(from), offset = cuda::load<n>(from + a.channels), keep = cuda::load<n>(from + 2 * a.channels);
    const Pack<T, n> slant = cuda::load<n>(from + 3 * a.channels), level = cuda::load<n>(from + 4 * a.channels);
    const Pack<T, n> x = cuda::load<n>(a.x + i * n), dy = cuda::load<n>(a.dy + i * n);
    Pack<T, n> dx;
    for (int j = 0; j < n; ++j) {
      const T d = scale.v[j] * x.v[j] + offset.v[j] > 0 ? dy.v[j] : dy.v[j] * a.slope;
      dx.v[j] = keep.v[j] * d + (slant.v[j] * x.v[j] + level.v[j]);
    }
    cuda::store(a.dx + i * n, dx);
  });
}

template <class T>
void add_images(const GroupNormGradArgs<T>& a) {
  if (!a.dweight && !a.dbias) return;
  cuda::each("group_norm_grad_weights", a.channels, [=] __device__(int64_t c) {
    double bias = 0, weight = 0;
    for (int64_t b = 0; b < a.batch; ++b) {
      bias += a.sums[b * 2 * a.channels + c];
      weight += a.sums[(b * 2 + 1) * a.channels + c];
    }
    if (a.dbias) a.dbias[c] = static_cast<T>(bias);
    if (a.dweight) a.dweight[c] = static_cast<T>(weight);
  });
}

template <class T>
void group_norm_grad(const GroupNormGradArgs<T>& a, bool packed) {
  const Tiling tiling = tiling_of(a);
  cuda::launch({"group_norm_grad_chunks", cuda::blocks_for(tiling.blocks, 1), threads, sizeof(Pairs<T, T>)}, chunk_grad_sums<T>, a, tiling);
  cuda::launch({"group_norm_grad_merge", cuda::blocks_for(a.batch * a.groups, 1), merge_threads, sizeof(Pairs<double, double>)}, merge_grad_sums<T>, a,
               tiling);
  if (a.dx) packed ? correct<4>(a) : correct<1>(a);
  add_images(a);
}

}  // namespace

void group_norm_cuda(const GroupNormArgs<float>& a) { group_norm(a, a.channels % 4 == 0 && cuda::packable<4>(a.x, a.y)); }
void group_norm_cuda(const GroupNormArgs<double>& a) { group_norm(a, false); }
void group_norm_grad_cuda(const GroupNormGradArgs<float>& a) { group_norm_grad(a, a.channels % 4 == 0 && cuda::packable<4>(a.x, a.dy, a.dx)); }
void group_norm_grad_cuda(const GroupNormGradArgs<double>& a) { group_norm_grad(a, false); }

}  // namespace g2s::kernels
