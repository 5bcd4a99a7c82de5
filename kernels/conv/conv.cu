// The three convolutions as products of matrices that are never written down.
#include "engine/cuda/launch.cuh"
#include "kernels/bias_act/bias_act.cuh"
#include "kernels/conv/conv_args.h"
#include "kernels/conv/conv_operands.cuh"
#include "kernels/matmul/gemm_args.h"
#include "kernels/matmul/tensor_gemm.cuh"
#include "kernels/matmul/tiled_gemm.cuh"

namespace g2s::kernels {
namespace {

// y [positions, channels] with its epilogue, if one is wanted.
template <class Element>
struct ForwardEpilogue {
  using T = Element;
  static constexpr bool writes_mask = sizeof(T) == sizeof(float);
  struct Row {
    T* at;
    const T* scale;
    T noise;
  };
  T* y;
  std::uint8_t* mask;    // like y, or null
  int channels, pixels;  // of one image
  EpilogueArgs e;

  __device__ __forceinline__ Row row(int m) const {
    Row r{y + int64_t{m} * channels, nullptr, T(0)};
    if constexpr (sizeof(T) == sizeof(float)) {
      if (e.scale || e.noise) {
        const int b = m / pixels;
        if (e.scale) r.scale = e.scale + int64_t{b} * channels;
        if (e.noise) r.noise = e.noise_weight[0] * e.noise[e.noise_shared ? m - b * pixels : m];
      }
    }
    return r;
  }
  __device__ __forceinline__ T finish(const Row& r, int n, T sum) const {
    if constexpr (sizeof(T) == sizeof(float))
      if (e.wanted)
        return bias_act_value(sum, r.scale ? r.scale[n] : T(1), e.noise != nullptr, r.noise, e.bias ? e.bias[n] : T(0), e.slope, e.gain);
    return sum;
  }
  template <int count>
  __device__ __forceinline__ void store_mask(const Row& r, int column, int n, const cuda::Pack<T, count>& values) const {
    if (!mask || column >= n) return;
    std::uint8_t* to = mask + (r.at - y) + column;
    cuda::Pack<std::uint8_t, count> pack;
#pragma unroll
    for (int i = 0; i < count; ++i) pack.v[i] = values.v[i] > 0;
    if (n % count == 0) return cuda::store(to, pack);
#pragma unroll
    for (int i = 0; i < count; ++i)
      if (column + i < n) to[i] = pack.v[i];
  }
};

template <class Element, bool whole, bool modulated>
struct Forward {
  using T = Element;
  static constexpr bool vectors = whole;
  ConvShape s;
  const T* x;
  const T* w;
  const T* style;
  ForwardEpilogue<T> first_epilogue;
  int64_t size;  // of y
  GemmTiling tiling;

  __device__ gemm::Slice<Gathered<T, whole, modulated>, gemm::MatrixAlongK<T, whole>> slice(int z) const {
    const int rows = static_cast<int>(s.y_rows), columns = static_cast<int>(s.y_columns), channels = static_cast<int>(s.x_channels);
    const int m = static_cast<int>(s.batch) * rows * columns, n = static_cast<int>(s.y_channels);
    const TapWalk taps{forward_axis(s.kernel_rows, s), forward_axis(s.kernel_columns, s), channels};
    const int k = taps.down.count * taps.across.count * channels;
    return {{x, style, static_cast<int>(s.x_rows), static_cast<int>(s.x_columns), taps, m, rows, columns, static_cast<int>(s.stride)},
            {w, k, n, k},
            m,
            n,
            z * tiling.steps * static_cast<int>(gemm_tile_k),
            gemm::steps_of(tiling, z, k)};
  }
  __device__ ForwardEpilogue<T> epilogue(int z) const {
    ForwardEpilogue<T> to = first_epilogue;
    to.y += z * size;
    return to;
  }
};

// The positions of x that one phase of the stride computes.
template <class T>
struct PhaseEpilogue {
  static constexpr bool writes_mask = false;
  struct Row {
    T* at;
  };
  T* x;
  int rows, columns, channels, positions_down, positions_across, first_row, first_column, stride;

  __device__ __forceinline__ Row row(int m) const {
    const int line = m / positions_across, b = line / positions_down;
    const int row = first_row + (line - b * positions_down) * stride, column = first_column + (m - line * positions_across) * stride;
    return {x + ((int64_t{b} * rows + row) * columns + column) * channels};
  }
  __device__ __forceinline__ T finish(const Row&, int, T sum) const { return sum; }
};

// whole_y, whole_x: the channels of the image, of the gradient, are multiples of four.
template <class Element, bool whole_y, bool whole_x, bool modulated>
struct InputGrad {
  using T = Element;
  static constexpr bool vectors = whole_y && whole_x;
  ConvShape s;
  const T* dy;
  const T* w;
  const T* style;
  T* dx;
  int64_t size;  // of dx
  int between;   // conv_taps_between
  GemmTiling tiling;

  struct Phase {
    int row, column, down, across;  // the first position and the number of positions
  };
  __device__ Phase phase(int z) const {
    const int stride = static_cast<int>(s.stride), rows = static_cast<int>(s.x_rows), columns = static_cast<int>(s.x_columns);
    const int number = z / tiling.split_k, beside = stride < columns ? stride : columns, row = number / beside, column = number % beside;
    return {row, column, (rows - row + stride - 1) / stride, (columns - column + stride - 1) / stride};
  }

  __device__ gemm::Slice<Gathered<T, whole_y, modulated>, WeightByInput<T, whole_x>> slice(int z) const {
    const Phase p = phase(z);
    const int split = z % tiling.split_k, channels = static_cast<int>(s.x_channels), m = static_cast<int>(s.batch) * p.down * p.across;
    const TapWalk taps{input_grad_axis(s.kernel_rows, s, between, p.row), input_grad_axis(s.kernel_columns, s, between, p.column),
                       static_cast<int>(s.y_channels)};
    const int k = taps.down.count * taps.across.count * taps.channels;
    return {{dy, style, static_cast<int>(s.y_rows), static_cast<int>(s.y_columns), taps, m, p.down, p.across, 1},
            {w, taps, static_cast<int>(s.kernel_rows), static_cast<int>(s.kernel_columns), channels},
            m,
            channels,
            split * tiling.steps * static_cast<int>(gemm_tile_k),
            gemm::steps_of(tiling, split, k)};
  }
  __device__ PhaseEpilogue<T> epilogue(int z) const {
    const Phase p = phase(z);
    return {dx + z % tiling.split_k * size,
            static_cast<int>(s.x_rows),
            static_cast<int>(s.x_columns),
            static_cast<int>(s.x_channels),
            p.down,
            p.across,
            p.row,
            p.column,
            static_cast<int>(s.stride)};
  }
};

template <class Element, bool whole_y, bool whole_x>
struct WeightGrad {
  using T = Element;
  static constexpr bool vectors = whole_y && whole_x;
  ConvShape s;
  const T* x;
  const T* dy;
  T* dw;
  int64_t size;  // of dw
  GemmTiling tiling;

  __device__ gemm::Slice<gemm::MatrixAlongOuter<T, whole_y>, Patches<T, whole_x>> slice(int z) const {
    const int rows = static_cast<int>(s.y_rows), columns = static_cast<int>(s.y_columns), channels = static_cast<int>(s.x_channels);
    const int m = static_cast<int>(s.y_channels), kernel_rows = static_cast<int>(s.kernel_rows),
              kernel_columns = static_cast<int>(s.kernel_columns);
    const int n = kernel_rows * kernel_columns * channels, k = static_cast<int>(s.batch) * rows * columns;
    return {{dy, m, m, k},
            {x, static_cast<int>(s.x_rows), static_cast<int>(s.x_columns), channels, rows, columns, k, kernel_rows, kernel_columns,
             static_cast<int>(s.stride), static_cast<int>(s.pad), static_cast<int>(s.dilation)},
            m,
            n,
            z * tiling.steps * static_cast<int>(gemm_tile_k),
            gemm::steps_of(tiling, z, k)};
  }
  __device__ gemm::PlainEpilogue<T> epilogue(int z) const { return {dw + z * size, s.kernel_rows * s.kernel_columns * s.x_channels}; }
};

template <class T>
GemmTiling tiling_of(const ConvArgs<T>& a) { return {static_cast<GemmTile>(a.tile), a.split_k, a.steps}; }

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <class T, class Gemm>
void launch(const char* name, const Gemm& gemm, const ConvArgs<T>& a, int64_t m, int64_t n, int64_t slices) {
  const auto tile = static_cast<GemmTile>(a.tile);
  if constexpr (sizeof(T) == sizeof(float)) gemm::launch(name, gemm, static_cast<MathMode>(a.mode), tile, m, n, slices);
  else gemm::launch(name, gemm, tile, m, n, slices);
}

template <class T>
ForwardEpilogue<T> epilogue_of(const ConvArgs<T>& a) {
  const ConvShape& s = a.shape;
  return {a.result, a.mask, static_cast<int>(s.y_channels), static_cast<int>(s.y_rows * s.y_columns),
          a.epilogue ? *a.epilogue : EpilogueArgs{}};
}

// Adds the parts, and does with each sum what a product in one part does at its end.
template <class T>
void finish_forward(const char* name, const ConvArgs<T>& a) {
  const ConvShape& s = a.shape;
  const ForwardEpilogue<T> epilogue = epilogue_of(a);
  gemm::sum_split_k(name, a.partial, a.split_k, s.batch * s.y_rows * s.y_columns * s.y_channels, a.result,
                    [=] __device__(int64_t i, T sum) {
                      const int row = static_cast<int>(i / epilogue.channels);
                      const T y = epilogue.finish(epilogue.row(row), static_cast<int>(i - int64_t{row} * epilogue.channels), sum);
                      if (epilogue.mask) epilogue.mask[i] = y > 0;
                      return y;
                    });
}

template <class T, bool whole, bool modulated>
void forward(const ConvArgs<T>& a) {
  const ConvShape& s = a.shape;
  const int64_t m = s.batch * s.y_rows * s.y_columns, n = s.y_channels;
  Forward<T, whole, modulated> gemm{s, a.first, a.second, a.style, epilogue_of(a), m * n, tiling_of(a)};
  if (a.split_k > 1) {
    gemm.first_epilogue.y = a.partial;
    gemm.first_epilogue.mask = nullptr;
    gemm.first_epilogue.e = {};
  }
  launch("conv_forward", gemm, a, m, n, a.split_k);
  if (a.split_k > 1) finish_forward("conv_forward_sum", a);
}

template <class T>
void add_plain(const char* name, const ConvArgs<T>& a, int64_t size) {
  if (a.split_k > 1) gemm::sum_split_k(name, a.partial, a.split_k, size, a.result, [] __device__(int64_t, T sum) { return sum; });
}

template <class T, bool whole_y, bool whole_x, bool modulated>
void input_grad(const ConvArgs<T>& a) {
  const ConvShape& s = a.shape;
  const int64_t size = s.batch * s.x_rows * s.x_columns * s.x_channels,
                m = s.batch * divide_up(s.x_rows, s.stride) * divide_up(s.x_columns, s.stride);
  const int64_t phases = (s.stride < s.x_rows ? s.stride : s.x_rows) * (s.stride < s.x_columns ? s.stride : s.x_columns);
  const InputGrad<T, whole_y, whole_x, modulated> gemm{
      s, a.first, a.second, a.style, a.split_k > 1 ? a.partial : a.result, size, static_cast<int>(conv_taps_between(s)), tiling_of(a)};
  launch("conv_input_grad", gemm, a, m, s.x_channels, phases * a.split_k);
  add_plain("conv_input_grad_sum", a, size);
}

template <class T, bool whole_y, bool whole_x>
void weight_grad(const ConvArgs<T>& a) {
  const ConvShape& s = a.shape;
  const int64_t n = s.kernel_rows * s.kernel_columns * s.x_channels, size = s.y_channels * n;
  const WeightGrad<T, whole_y, whole_x> gemm{s, a.first, a.second, a.split_k > 1 ? a.partial : a.result, size, tiling_of(a)};
  launch("conv_weight_grad", gemm, a, s.y_channels, n, a.split_k);
  add_plain("conv_weight_grad_sum", a, size);
}

template <class T, bool whole, bool modulated>
void gather(const ConvArgs<T>& a) {
  a.kind == ConvKind::forward ? forward<T, whole, modulated>(a) : input_grad<T, whole, whole, modulated>(a);
}

template <class T, bool whole_y, bool whole_x>
void gradient(const ConvArgs<T>& a) {
  a.kind == ConvKind::input_grad ? input_grad<T, whole_y, whole_x, false>(a) : weight_grad<T, whole_y, whole_x>(a);
}

template <class T, bool whole>
void conv(const ConvArgs<T>& a) {
  if (a.kind == ConvKind::weight_grad) return weight_grad<T, whole, whole>(a);
  if constexpr (sizeof(T) == sizeof(float))
    if (a.style) return gather<T, whole, true>(a);
  gather<T, whole, false>(a);
}

}  // namespace

void conv_f32_cuda(const ConvArgs<float>& a) {
  if (a.vectors) conv<float, true>(a);
  else if (a.y_vectors && !a.style) gradient<float, true, false>(a);  // of an image in colours, x, behind which are many channels
  else conv<float, false>(a);
}
void conv_finish_f32_cuda(const ConvArgs<float>& a) { finish_forward("conv_finish", a); }
void conv_f64_cuda(const ConvArgs<double>& a) { conv<double, false>(a); }

}  // namespace g2s::kernels
