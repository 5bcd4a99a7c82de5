// One thread for some neighbouring channels of a pixel: of the output in the forward pass, of the input in the backward pass, which gathers
// from the windows that cover the pixel.
#include "engine/cuda/launch.cuh"
#include "engine/cuda/pack.cuh"
#include "kernels/pool/pool_args.h"

namespace g2s::kernels {
namespace {

using cuda::Pack;

template <class T, int n>
void max_pool(const MaxPoolArgs<T>& a) {
  const std::int64_t packs = a.channels / n;
  cuda::each("max_pool", a.batch * a.out_height * a.out_width * packs, [=] __device__(std::int64_t i) {
    const std::int64_t pixel = i / packs, c = i % packs * n, line = pixel / a.out_width;
    const std::int64_t left = pixel % a.out_width * a.stride, top = line % a.out_height * a.stride;
    const std::int64_t row = a.width * a.channels;
    const T* x = a.x + (line / a.out_height * a.height + top) * row + left * a.channels + c;
    const int high = static_cast<int>(a.height - top < a.k ? a.height - top : a.k);
    const int wide = static_cast<int>(a.width - left < a.k ? a.width - left : a.k);
    Pack<T, n> best = cuda::load<n>(x);
    Pack<std::uint8_t, n> argmax{};
    for (int h = 0; h < high; ++h)
      for (int w = 0; w < wide; ++w) {
        const Pack<T, n> v = cuda::load<n>(x + h * row + w * a.channels);
        for (int k = 0; k < n; ++k) {
          const bool better = v.v[k] > best.v[k] || (v.v[k] != v.v[k] && h + w > 0);  // NaN wins, as in PyTorch
          best.v[k] = better ? v.v[k] : best.v[k];
          argmax.v[k] = better ? static_cast<std::uint8_t>(h * a.k + w) : argmax.v[k];
        }
      }
    cuda::store(a.y + i * n, best);
    if (a.argmax) cuda::store(a.argmax + i * n, argmax);
  });
}

template <class T, int n>
void max_pool_grad(const MaxPoolGradArgs<T>& a) {
  const std::int64_t packs = a.channels / n;
  cuda::each("max_pool_grad", a.batch * a.height * a.width * packs, [=] __device__(std::int64_t i) {
    const std::int64_t pixel = i / packs, c = i % packs * n, line = pixel / a.width;
    const int w = static_cast<int>(pixel % a.width), h = static_cast<int>(line % a.height), k = a.k, stride = a.stride;
    const int first_row = h < k ? 0 : (h - k) / stride + 1, first_column = w < k ? 0 : (w - k) / stride + 1;
    const std::int64_t image = line / a.height * a.out_height;
    Pack<T, n> sum{};
    for (int oh = first_row; oh <= h / stride && oh < a.out_height; ++oh)
      for (int ow = first_column; ow <= w / stride && ow < a.out_width; ++ow) {
        const std::int64_t at = ((image + oh) * a.out_width + ow) * a.channels + c;
        const auto place = static_cast<std::uint8_t>((h - oh * stride) * k + (w - ow * stride));
        const Pack<std::uint8_t, n> argmax = cuda::load<n>(a.argmax + at);
        const Pack<T, n> dy = cuda::load<n>(a.dy + at);
        for (int j = 0; j < n; ++j) sum.v[j] += argmax.v[j] == place ? dy.v[j] : T(0);
      }
    cuda::store(a.dx + i * n, sum);
  });
}

}  // namespace

void max_pool_cuda(const MaxPoolArgs<float>& a) {
  if (a.channels % 4 == 0 && cuda::packable<4>(a.x, a.y, a.argmax)) max_pool<float, 4>(a);
  else max_pool<float, 1>(a);
}
void max_pool_cuda(const MaxPoolArgs<double>& a) { max_pool<double, 1>(a); }

void max_pool_grad_cuda(const MaxPoolGradArgs<float>& a) {
  if (a.channels % 4 == 0 && cuda::packable<4>(a.dy, a.argmax, a.dx)) max_pool_grad<float, 4>(a);
  else max_pool_grad<float, 1>(a);
}
void max_pool_grad_cuda(const MaxPoolGradArgs<double>& a) { max_pool_grad<double, 1>(a); }

}  // namespace g2s::kernels
