// One warp a pixel, neighbouring lanes on neighbouring channels. In f32, for the numbers of channels that VGG has, a pixel's features are
// loaded once as vectors and stay in registers; otherwise they are read again, from the cache. All sums have a fixed order.
#include <cmath>

#include "engine/cuda/launch.cuh"
#include "engine/cuda/pack.cuh"
#include "kernels/lpips_head/lpips_head_args.h"

namespace g2s::kernels {
namespace {

using std::int64_t;

constexpr unsigned warps = 8;  // of a block
constexpr unsigned threads = 32 * warps;

// The features of one pixel, held by one warp: Count channels in each lane's registers. Count = 0: any number of channels, left in memory.
template <class T, int Count>
struct Pixel {
  static constexpr int vector = Count % 4 == 0 ? 4 : 2;

  cuda::Pack<T, vector> a[Count / vector], b[Count / vector];

  static __device__ int64_t place(int k) { return (k * 32 + threadIdx.x % 32) * vector; }  // its first channel

  __device__ Pixel(const T* from_a, const T* from_b, int64_t) {
    for (int k = 0; k < Count / vector; ++k) {
      a[k] = cuda::load<vector>(from_a + place(k));
      b[k] = cuda::load<vector>(from_b + place(k));
    }
  }

  // f(a, b) of this lane's channels
  template <class F>
  __device__ void each(F f) const {
    for (int k = 0; k < Count / vector; ++k)
      for (int j = 0; j < vector; ++j) f(a[k].v[j], b[k].v[j]);
  }

  // f(head, a, b)
  template <class F>
  __device__ void each(const T* head, F f) const {
    for (int k = 0; k < Count / vector; ++k) {
      const cuda::Pack<T, vector> h = cuda::load<vector>(head + place(k));
      for (int j = 0; j < vector; ++j) f(h.v[j], a[k].v[j], b[k].v[j]);
    }
  }

  // f(head, a, b) replaces a and b by the values that go to to_a and to_b, where these are not null.
  template <class F>
  __device__ void transform(const T* head, T* to_a, T* to_b, F f) {
    for (int k = 0; k < Count / vector; ++k) {
      const cuda::Pack<T, vector> h = cuda::load<vector>(head + place(k));
      for (int j = 0; j < vector; ++j) f(h.v[j], a[k].v[j], b[k].v[j]);
      if (to_a) cuda::store(to_a + place(k), a[k]);
      if (to_b) cuda::store(to_b + place(k), b[k]);
    }
  }
};

template <class T>
struct Pixel<T, 0> {
  const T *a, *b;
  int64_t channels;

  __device__ Pixel(const T* from_a, const T* from_b, int64_t n) : a(from_a), b(from_b), channels(n) {}

  template <class F>
  __device__ void each(F f) const {
    for (int64_t i = threadIdx.x % 32; i < channels; i += 32) f(a[i], b[i]);
  }

  template <class F>
  __device__ void each(const T* head, F f) const {
    for (int64_t i = threadIdx.x % 32; i < channels; i += 32) f(head[i], a[i], b[i]);
  }

  template <class F>
  __device__ void transform(const T* head, T* to_a, T* to_b, F f) {
    for (int64_t i = threadIdx.x % 32; i < channels; i += 32) {
      T va = a[i], vb = b[i];
      f(head[i], va, vb);
      if (to_a) to_a[i] = va;
      if (to_b) to_b[i] = vb;
    }
  }
};

template <class T>
struct Norms {
  T a, b;    // of the pixel's features
  T ia, ib;  // 1 / (norm + 1e-10)
};

template <class T, int Count>
__device__ inline Norms<T> norms(const Pixel<T, Count>& pixel) {
  T aa = 0, bb = 0;
  pixel.each([&](T a, T b) {
    aa += a * a;
    bb += b * b;
  });
  const T eps = static_cast<T>(1e-10), na = std::sqrt(cuda::warp_sum(aa)), nb = std::sqrt(cuda::warp_sum(bb));
  return {na, nb, 1 / (na + eps), 1 / (nb + eps)};
}

struct Sums {
  double warps[cuda::most_warps];
};

// Block (k, b): pixels [k lpips_cuda_chunk, ..) of image b.
template <class T, int Count>
__global__ void __launch_bounds__(threads) lpips_head_kernel(LpipsHeadArgs<T> g, cuda::FirstBlock first) {
  const int64_t n = g.channels, image = first.y + blockIdx.y, begin = blockIdx.x * lpips_cuda_chunk;
  const int64_t end = begin + lpips_cuda_chunk < g.pixels ? begin + lpips_cuda_chunk : g.pixels;
  T own = 0;
  for (int64_t p = begin + threadIdx.x / 32; p < end; p += warps) {
    const int64_t at = (image * g.pixels + p) * n;
    const Pixel<T, Count> pixel(g.a + at, g.b + at, n);
    const Norms<T> k = norms(pixel);
    pixel.each(g.head, [&](T head, T a, T b) {
      const T d = a * k.ia - b * k.ib;
      own += head * (d * d);
    });
  }
  auto& s = cuda::shared<Sums>();
  const double total = cuda::block_sum(static_cast<double>(own), s.warps);
  if (threadIdx.x == 0) g.partial[image * gridDim.x + blockIdx.x] = total;
}

template <class T>
__global__ void lpips_head_total_kernel(const double* partial, int64_t chunks, double pixels, T* d) {
  double own = 0;
  for (int64_t k = threadIdx.x; k < chunks; k += threads) own += partial[blockIdx.x * chunks + k];
  auto& s = cuda::shared<Sums>();
  const double total = cuda::block_sum(own, s.warps);
  if (threadIdx.x == 0) d[blockIdx.x] = static_cast<T>(total / pixels);
}

template <class T, int Count>
void forward(const LpipsHeadArgs<T>& g) {
  const auto batch = static_cast<unsigned>(g.batch), chunks = static_cast<unsigned>(lpips_cuda_chunks(g.pixels));
  cuda::launch_in_parts({"lpips_head", dim3(chunks, batch), threads, sizeof(Sums)}, lpips_head_kernel<T, Count>, g);
  cuda::launch({"lpips_head_total", batch, threads, sizeof(Sums)}, lpips_head_total_kernel<T>, g.partial, int64_t{chunks},
               static_cast<double>(g.pixels), g.d);
}

// g = gradient of the normalised features f / (|f| + eps): df = g i - f (g . f) i^2 / |f|.
// Where all features are 0 the second term is 0 / 0 and the first 1e10 times the gradient: that pixel gets 0.
template <class T>
struct Back {
  T straight, along;  // df = straight * g + along * f
};

template <class T>
__device__ inline Back<T> back(T norm, T inverse, T product) {
  if (!(norm > 0)) return {0, 0};
  return {inverse, -product * inverse * inverse / norm};
}

template <class T, int Count>
__global__ void __launch_bounds__(threads) lpips_head_grad_kernel(LpipsHeadGradArgs<T> g) {
  const int64_t p = blockIdx.x * int64_t{warps} + threadIdx.x / 32, n = g.channels;
  if (p >= g.batch * g.pixels) return;  // a whole warp
  const T factor = 2 * g.dd[p / g.pixels] / static_cast<T>(g.pixels);
  Pixel<T, Count> pixel(g.a + p * n, g.b + p * n, n);
  const Norms<T> k = norms(pixel);
  auto gradient = [&](T head, T a, T b) { return factor * head * (a * k.ia - b * k.ib); };
  T ga = 0, gb = 0;
  pixel.each(g.head, [&](T head, T a, T b) {
    const T v = gradient(head, a, b);
    ga += v * a;
    gb += v * b;
  });
  const Back<T> back_a = back(k.a, k.ia, cuda::warp_sum(ga)), back_b = back(k.b, k.ib, cuda::warp_sum(gb));
  pixel.transform(g.head, g.da ? g.da + p * n : nullptr, g.db ? g.db + p * n : nullptr, [&](T head, T& a, T& b) {
    const T v = gradient(head, a, b);
    a = back_a.straight * v + back_a.along * a;
    b = -(back_b.straight * v + back_b.along * b);
  });
}

template <class T, int Count>
void backward(const LpipsHeadGradArgs<T>& g) {
  cuda::launch({"lpips_head_grad", cuda::blocks_for(g.batch * g.pixels, warps), threads}, lpips_head_grad_kernel<T, Count>, g);
}

}  // namespace

void lpips_head_cuda(const LpipsHeadArgs<float>& g) {
  const bool vectors = cuda::packable<4>(g.a, g.b, g.head);
  if (vectors && g.channels == 64) forward<float, 2>(g);
  else if (vectors && g.channels == 128) forward<float, 4>(g);
  else if (vectors && g.channels == 256) forward<float, 8>(g);
  else if (vectors && g.channels == 512) forward<float, 16>(g);
  else forward<float, 0>(g);
}

void lpips_head_grad_cuda(const LpipsHeadGradArgs<float>& g) {
  const bool vectors = cuda::packable<4>(g.a, g.b, g.head, g.da, g.db);
  if (vectors && g.channels == 64) backward<float, 2>(g);
  else if (vectors && g.channels == 128) backward<float, 4>(g);
  else if (vectors && g.channels == 256) backward<float, 8>(g);
  else if (vectors && g.channels == 512) backward<float, 16>(g);
  else backward<float, 0>(g);
}

void lpips_head_cuda(const LpipsHeadArgs<double>& g) { forward<double, 0>(g); }
void lpips_head_grad_cuda(const LpipsHeadGradArgs<double>& g) { backward<double, 0>(g); }

}  // namespace g2s::kernels
