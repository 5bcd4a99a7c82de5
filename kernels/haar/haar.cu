// A thread takes some channels of one pixel of bands: four numbers of each channel in, four out. The high bands of a channel are
// neighbours, so the three packs that hold those of four channels are read and written whole.
#include "engine/cuda/launch.cuh"
#include "engine/cuda/pack.cuh"
#include "kernels/haar/haar_args.h"

namespace g2s::kernels {
namespace {

using cuda::Pack;
using std::int64_t;

// Both ways: bands to pixels, pixels to bands.
template <class T>
__device__ __forceinline__ void haar(T (&v)[4]) {
  const T half = T(1) / 2, a = v[0] + v[1], b = v[2] + v[3], c = v[0] - v[1], d = v[2] - v[3];
  v[0] = half * (a + b);
  v[1] = half * (a - b);
  v[2] = half * (c + d);
  v[3] = half * (c - d);
}

// Where thread i works.
struct Place {
  int64_t pixel, c, b;   // pixel of bands, first channel, image
  int64_t upper, lower;  // the left one of its two upper and of its two lower pixels
};

template <class Args>
__device__ Place place_of(const Args& a, int64_t i, int64_t packs, int n) {
  Place p;
  p.pixel = i / packs;
  p.c = i % packs * n;
  const int64_t line = p.pixel / a.columns, column = p.pixel % a.columns;
  p.b = line / a.rows;
  p.upper = 4 * line * a.columns + 2 * column;
  p.lower = p.upper + 2 * a.columns;
  return p;
}

template <class T, int n>
struct Bands {
  Pack<T, n> low, high[3];  // high: triples, one behind the other
};

template <int n, class T>
__device__ __forceinline__ Bands<T, n> load_bands(const T* from, int64_t channels, int64_t c) {
  Bands<T, n> bands;
  bands.low = cuda::load<n>(from + c);
  for (int i = 0; i < 3; ++i) bands.high[i] = cuda::load<n>(from + channels + 3 * c + i * n);
  return bands;
}

template <class T, int n>
void synthesis(const HaarSynthesisArgs<T>& a) {
  const int64_t packs = a.channels / n;
  cuda::each("haar_synthesis", a.batch * a.rows * a.columns * packs, [=] __device__(int64_t i) {
    const Place p = place_of(a, i, packs, n);
    Bands<T, n> bands = load_bands<n>(a.x + p.pixel * 4 * a.channels, a.channels, p.c);
    if (a.style) {
      const Bands<T, n> style = load_bands<n>(a.style + p.b * 4 * a.channels, a.channels, p.c);
      for (int k = 0; k < n; ++k) bands.low.v[k] *= style.low.v[k];
      for (int j = 0; j < 3; ++j)
        for (int k = 0; k < n; ++k) bands.high[j].v[k] *= style.high[j].v[k];
    }
    Pack<T, n> y[4];
    for (int k = 0; k < n; ++k) {
      T v[4] = {bands.low.v[k]};
      for (int band = 0; band < 3; ++band) v[band + 1] = bands.high[(3 * k + band) / n].v[(3 * k + band) % n];
      haar(v);
      for (int j = 0; j < 4; ++j) y[j].v[k] = v[j];
    }
    for (int j = 0; j < 4; ++j) cuda::store(a.y + ((j < 2 ? p.upper : p.lower) + j % 2) * a.channels + p.c, y[j]);
  });
}

template <class T, int n>
void analysis(const HaarAnalysisArgs<T>& a) {
  const int64_t packs = a.channels / n;
  cuda::each("haar_analysis", a.batch * a.rows * a.columns * packs, [=] __device__(int64_t i) {
    const Place p = place_of(a, i, packs, n);
    Pack<T, n> y[4];
    for (int j = 0; j < 4; ++j) y[j] = cuda::load<n>(a.y + ((j < 2 ? p.upper : p.lower) + j % 2) * a.channels + p.c);
    Bands<T, n> bands;
    for (int k = 0; k < n; ++k) {
      T v[4];
      for (int j = 0; j < 4; ++j) v[j] = y[j].v[k];
      haar(v);
      bands.low.v[k] = v[0];
      for (int band = 0; band < 3; ++band) bands.high[(3 * k + band) / n].v[(3 * k + band) % n] = v[band + 1];
    }
    T* to = a.bands + p.pixel * 4 * a.channels;
    cuda::store(to + p.c, bands.low);
    for (int j = 0; j < 3; ++j) cuda::store(to + a.channels + 3 * p.c + j * n, bands.high[j]);
  });
}

}  // namespace

void haar_synthesis_cuda(const HaarSynthesisArgs<float>& a) {
  if (a.channels % 4 == 0 && cuda::packable<4>(a.x, a.style, a.y)) synthesis<float, 4>(a);
  else synthesis<float, 1>(a);
}
void haar_synthesis_cuda(const HaarSynthesisArgs<double>& a) { synthesis<double, 1>(a); }

void haar_analysis_cuda(const HaarAnalysisArgs<float>& a) {
  if (a.channels % 4 == 0 && cuda::packable<4>(a.y, a.bands)) analysis<float, 4>(a);
  else analysis<float, 1>(a);
}
void haar_analysis_cuda(const HaarAnalysisArgs<double>& a) { analysis<double, 1>(a); }

}  // namespace g2s::kernels
