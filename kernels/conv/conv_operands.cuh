// How a convolution's images and weights look as operands of a product (kernels/matmul/tiled_gemm.cuh). Nothing is copied: an operand
// finds each element where it is.
#pragma once

#include "engine/cuda/launch.cuh"
#include "kernels/conv/conv_args.h"
#include "kernels/matmul/tiled_gemm.cuh"

namespace g2s::kernels {

using gemm::vector;
using std::int64_t;

constexpr int far_outside = -(1 << 29);  // a row of no image, whatever a tap adds

// The taps along one axis: tap t reads the position `first + t * step` away, with row kernel + t * kernel_step of the kernel.
struct Axis {
  int count, first, step, kernel, kernel_step;
};

__device__ inline Axis forward_axis(int64_t kernel, const ConvShape& s) {
  return {static_cast<int>(kernel), -static_cast<int>(s.pad), static_cast<int>(s.dilation), 0, 1};
}

// What reaches the positions phase, phase + stride, ... of x: the rows u of the kernel for which phase + pad - u * dilation is a multiple
// of the stride. They are `between` apart.
__device__ inline Axis input_grad_axis(int64_t kernel, const ConvShape& s, int between, int phase) {
  const int stride = static_cast<int>(s.stride), dilation = static_cast<int>(s.dilation), reach = phase + static_cast<int>(s.pad);
  for (int u = 0; u < between && u < kernel; ++u)
    if ((reach - u * dilation) % stride == 0)
      return {(static_cast<int>(kernel) - 1 - u) / between + 1, (reach - u * dilation) / stride, -dilation * between / stride, u, between};
  return {0, 0, 0, 0, 0};
}

// Taps and channels, channels innermost, as k runs through them.
struct TapDepth {
  int channel, across, down;
};

struct TapWalk {
  Axis down, across;
  int channels;

  __device__ __forceinline__ TapDepth depth(int k) const {
    const int tap = k / channels;
    return {k - tap * channels, tap % across.count, tap / across.count};
  }
  __device__ __forceinline__ void advance(TapDepth& d, int by) const {
    d.channel += by;
    while (d.channel >= channels) {
      d.channel -= channels;
      next_tap(d);
    }
  }
  __device__ __forceinline__ void next(TapDepth& d) const {
    if (++d.channel < channels) return;
    d.channel = 0;
    next_tap(d);
  }
  __device__ __forceinline__ void next_tap(TapDepth& d) const {
    if (++d.across < across.count) return;
    d.across = 0;
    ++d.down;
  }
};

// Rows are positions (b, i, j), k runs through what their taps read of an image: [b, i * step + tap, j * step + tap, channel]. With
// modulated, that times style[b, channel].
template <class T, bool vectors, bool modulated>
struct Gathered {
  static constexpr bool along_k = true, direct = vectors && !modulated;
  struct Outer {
    int64_t image;           // where it begins
    int row, column, style;  // style: where that of the image begins
  };
  using Depth = TapDepth;

  const T* x;
  const T* style;     // [images, channels] or null
  int rows, columns;  // of x
  TapWalk taps;
  int lines, positions_down, positions_across, step;

  __device__ __forceinline__ Outer outer(int m) const {
    if (m >= lines) return {0, far_outside, 0, 0};
    const int line = m / positions_across, b = line / positions_down;
    return {int64_t{b} * rows * columns * taps.channels, (line - b * positions_down) * step, (m - line * positions_across) * step,
            b * taps.channels};
  }
  __device__ __forceinline__ Depth depth(int k) const { return taps.depth(k); }
  __device__ __forceinline__ void advance(Depth& d, int by) const { taps.advance(d, by); }
  // Whether it lies inside, and then its place in the image.
  __device__ __forceinline__ bool find(const Outer& o, const Depth& d, int& at) const {
    const int row = o.row + taps.down.first + d.down * taps.down.step, column = o.column + taps.across.first + d.across * taps.across.step;
    if (d.down >= taps.down.count || static_cast<unsigned>(row) >= static_cast<unsigned>(rows) ||
        static_cast<unsigned>(column) >= static_cast<unsigned>(columns))
      return false;
    at = (row * columns + column) * taps.channels + d.channel;
    return true;
  }
  __device__ __forceinline__ const T* origin() const { return x; }
  __device__ __forceinline__ const T* where(const Outer& o, const Depth& d) const {
    int at;
    return find(o, d, at) ? x + (o.image + at) : nullptr;
  }
  __device__ __forceinline__ void load(const Outer& o, const Depth& d, cuda::Pack<T, vector>& to) const {
    to = {};
    int at;
    if constexpr (vectors) {
      if (!find(o, d, at)) return;
      to = cuda::load<vector>(x + (o.image + at));
      if constexpr (modulated) {
        const cuda::Pack<T, vector> by = cuda::load<vector>(style + o.style + d.channel);
#pragma unroll
        for (int e = 0; e < vector; ++e) to.v[e] *= by.v[e];
      }
    } else {
      Depth element = d;
#pragma unroll
      for (int e = 0; e < vector; ++e) {
        if (find(o, element, at)) {
          to.v[e] = x[o.image + at];
          if constexpr (modulated) to.v[e] *= style[o.style + element.channel];
        }
        taps.next(element);
      }
    }
  }
};

// The weight [outputs, kernel rows, kernel columns, channels] with its input channels as columns; k runs through taps and outputs.
template <class T, bool vectors>
struct WeightByInput {
  static constexpr bool along_k = false, direct = vectors;
  struct Outer {
    int channel;
  };
  using Depth = TapDepth;

  const T* w;
  TapWalk taps;  // its channels are the outputs
  int kernel_rows, kernel_columns, channels;

  __device__ __forceinline__ Outer outer(int n) const { return {n}; }
  __device__ __forceinline__ Depth depth(int k) const { return taps.depth(k); }
  __device__ __forceinline__ void advance(Depth& d, int by) const { taps.advance(d, by); }
  __device__ __forceinline__ const T* origin() const { return w; }
  __device__ __forceinline__ const T* where(const Outer& o, const Depth& d) const {
    const int row = taps.down.kernel + d.down * taps.down.kernel_step, column = taps.across.kernel + d.across * taps.across.kernel_step;
    const bool inside = d.down < taps.down.count && o.channel < channels;
    return inside ? w + (((d.channel * kernel_rows + row) * kernel_columns + column) * channels + o.channel) : nullptr;
  }
  __device__ __forceinline__ void load(const Outer& o, const Depth& d, cuda::Pack<T, vector>& to) const {
    const T* from = where(o, d);
    if constexpr (vectors) {
      to = from ? cuda::load<vector>(from) : cuda::Pack<T, vector>{};
    } else {
#pragma unroll
      for (int e = 0; e < vector; ++e) to.v[e] = from && o.channel + e < channels ? from[e] : T(0);
    }
  }
};

// For the gradient to the weight: columns are (tap, channel), k runs through the pixels (b, i, j) of y.
template <class T, bool vectors>
struct Patches {
  static constexpr bool along_k = false, direct = vectors;
  static constexpr int places = vectors ? 1 : vector;
  struct Outer {
    int row[places], column[places], channel[places];
  };
  struct Depth {
    const T* image;
    int k, row, column;
  };

  const T* x;
  int rows, columns, channels;  // of x
  int y_rows, y_columns, pixels;
  int kernel_rows, kernel_columns, stride, pad, dilation;

  __device__ __forceinline__ Outer outer(int n) const {
    Outer o;
    for (int e = 0; e < places; ++e) {
      const int tap = (n + e) / channels, row = tap / kernel_columns;
      o.row[e] = row < kernel_rows ? row * dilation - pad : far_outside;
      o.column[e] = tap % kernel_columns * dilation - pad;
      o.channel[e] = n + e - tap * channels;
    }
    return o;
  }
  __device__ __forceinline__ Depth depth(int k) const {
    const int line = k / y_columns, b = line / y_rows;
    return {x + int64_t{b} * rows * columns * channels, k, line - b * y_rows, k - line * y_columns};
  }
  __device__ __forceinline__ void advance(Depth& d, int by) const {
    d.k += by;
    d.column += by;
    while (d.column >= y_columns) {
      d.column -= y_columns;
      if (++d.row == y_rows) {
        d.row = 0;
        d.image += rows * columns * channels;
      }
    }
  }
  __device__ __forceinline__ bool find(const Outer& o, const Depth& d, int e, int& at) const {
    const int row = d.row * stride + o.row[e], column = d.column * stride + o.column[e];
    if (d.k >= pixels || static_cast<unsigned>(row) >= static_cast<unsigned>(rows) ||
        static_cast<unsigned>(column) >= static_cast<unsigned>(columns))
      return false;
    at = (row * columns + column) * channels + o.channel[e];
    return true;
  }
  __device__ __forceinline__ const T* origin() const { return x; }
  __device__ __forceinline__ const T* where(const Outer& o, const Depth& d) const {
    int at;
    return find(o, d, 0, at) ? d.image + at : nullptr;
  }
  __device__ __forceinline__ void load(const Outer& o, const Depth& d, cuda::Pack<T, vector>& to) const {
    to = {};
    int at;
    if constexpr (vectors) {
      if (find(o, d, 0, at)) to = cuda::load<vector>(d.image + at);
    } else {
#pragma unroll
      for (int e = 0; e < vector; ++e)
        if (find(o, d, e, at)) to.v[e] = d.image[at];
    }
  }
};

}  // namespace g2s::kernels
