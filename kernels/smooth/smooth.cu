// The loss: every block sums the second differences that start in its elements, then one block adds the blocks' sums. The gradient: one
// thread an element, which looks at all the differences that the element takes part in; neighbours find each other's values in the cache.
#include <cmath>

#include "engine/cuda/launch.cuh"
#include "kernels/smooth/smooth_args.h"

namespace g2s::kernels {
namespace {

using std::int64_t;

constexpr unsigned threads = 256;
constexpr int64_t per_thread = smooth_cuda_block / threads;

// The second differences at x: along the row (steps of c), across (steps of r), and mixed.
template <class T>
__device__ inline T along(const T* x, int64_t c) {
  return (x[2 * c] - x[c]) - (x[c] - x[0]);
}
template <class T>
__device__ inline T mixed(const T* x, int64_t c, int64_t r) {
  return (x[r + c] - x[r]) - (x[c] - x[0]);
}

struct Sums {
  double warps[cuda::most_warps];
};

template <class T>
__global__ void smooth_kernel(SmoothArgs<T> a) {
  const int64_t c = a.channels, r = a.row, count = a.batch * a.height * r;
  T xx = 0, xy = 0, yy = 0;
  for (int64_t k = 0; k < per_thread; ++k) {
    const int64_t i = blockIdx.x * smooth_cuda_block + k * threads + threadIdx.x;
    if (i >= count) break;
    const int64_t row = i / r, at = i - row * r, h = row % a.height;
    const T* x = a.x + i;
    if (at + 2 * c < r) xx += std::abs(along(x, c));
    if (at + c < r && h + 1 < a.height) xy += std::abs(mixed(x, c, r));
    if (h + 2 < a.height) yy += std::abs(along(x, r));
  }
  const double own = a.xx * static_cast<double>(xx) + a.xy * static_cast<double>(xy) + a.yy * static_cast<double>(yy);
  auto& s = cuda::shared<Sums>();
  const double total = cuda::block_sum(own, s.warps);
  if (threadIdx.x == 0) a.partial[blockIdx.x] = total;
}

template <class T>
__global__ void smooth_total_kernel(const double* partial, int64_t blocks, T* loss) {
  double own = 0;
  for (int64_t i = threadIdx.x; i < blocks; i += threads) own += partial[i];
  auto& s = cuda::shared<Sums>();
  const double total = cuda::block_sum(own, s.warps);
  if (threadIdx.x == 0) loss[0] = static_cast<T>(total);
}

template <class T>
void smooth(const SmoothArgs<T>& a) {
  const int64_t blocks = smooth_cuda_blocks(a.batch * a.height * a.row);
  cuda::launch({"smooth", static_cast<unsigned>(blocks), threads, sizeof(Sums)}, smooth_kernel<T>, a);
  cuda::launch({"smooth_total", 1, threads, sizeof(Sums)}, smooth_total_kernel<T>, a.partial, blocks, a.loss);
}

template <class T>
__device__ inline T sign(T v) {
  return (v > 0 ? T(1) : T(0)) - (v < 0 ? T(1) : T(0));
}

// What the differences along one axis say about element `at` of `size`, in steps of `step`; x points to the element.
template <class T>
__device__ inline T along_gradient(const T* x, int64_t at, int64_t size, int64_t step) {
  T g = 0;
  if (at + 2 * step < size) g += sign(along(x, step));
  if (at >= step && at + step < size) g -= 2 * sign(along(x - step, step));
  if (at >= 2 * step) g += sign(along(x - 2 * step, step));
  return g;
}

template <class T>
void smooth_grad(const SmoothGradArgs<T>& a) {
  cuda::each("smooth_grad", a.batch * a.height * a.row, [a] __device__(int64_t i) {
    const int64_t c = a.channels, r = a.row, row = i / r, at = i - row * r, h = row % a.height;
    const T* x = a.x + i;
    const bool left = at >= c, right = at + c < r, up = h > 0, down = h + 1 < a.height;
    T g = 0;
    if (right && down) g += sign(mixed(x, c, r));
    if (left && down) g -= sign(mixed(x - c, c, r));
    if (right && up) g -= sign(mixed(x - r, c, r));
    if (left && up) g += sign(mixed(x - r - c, c, r));
    const T xx = static_cast<T>(a.xx) * along_gradient(x, at, r, c), yy = static_cast<T>(a.yy) * along_gradient(x, h * r, a.height * r, r);
    a.dx[i] = a.dloss[0] * (xx + static_cast<T>(a.xy) * g + yy);
  });
}

}  // namespace

G2S_REAL_ENTRY(smooth_cuda, SmoothArgs, smooth)
G2S_REAL_ENTRY(smooth_grad_cuda, SmoothGradArgs, smooth_grad)

}  // namespace g2s::kernels
