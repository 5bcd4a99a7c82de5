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
struct ForwardResult {
  using T = Element;
  static constexpr bool gated = sizeof(T) == sizeof(float);
  struct Row {
    T* at;
    const T* scale;
    T noise;
  };
  T* y;
  std::uint8_t* gate;    // like y, or null
  int channels, pixels;  // of one picture
  Epilogue e;

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
  __device__ __forceinline__ void store_gate(const Row& r, int column, int n, const cuda::Pack<T, count>& values) const {
    if (!gate || column >= n) return;
    std::uint8_t* to = gate + (r.at - y) + column;
    cuda::Pack<std::uint8_t, count> pack;
#pragma unroll
    for (int i = 0; i < count; ++i) pack.v[i] = values.v[i] > 0;
    if (n % count == 0) return cuda::store(to, pack);
#pragma unroll
    for (int i = 0; i < count; ++i)
      if (column + i < n) to[i] = pack.v[i];
  }
};

template <class Element, bool whole, bool styled>
struct Forward {
  using T = Element;
  static constexpr bool vectors = whole;
  ConvShape s;
  const T* x;
  const T* w;
  const T* style;
  ForwardResult<T> finished;
  int64_t size;  // of y
  GemmCut cut;

  __device__ gemm::Slice<Gathered<T, whole, styled>, gemm::MatrixAlongK<T, whole>> slice(int z) const {
    const int rows = static_cast<int>(s.y_rows), columns = static_cast<int>(s.y_columns), channels = static_cast<int>(s.x_channels);
    const int m = static_cast<int>(s.batch) * rows * columns, n = static_cast<int>(s.y_channels);
    const TapWalk taps{forward_axis(s.kernel_rows, s), forward_axis(s.kernel_columns, s), channels};
    const int k = taps.down.count * taps.across.count * channels;
    return {{x, style, static_cast<int>(s.x_rows), static_cast<int>(s.x_columns), taps, m, rows, columns, static_cast<int>(s.stride)},
            {w, k, n, k},
            m,
            n,
            z * cut.steps * static_cast<int>(gemm_tile_k),
            gemm::steps_of(cut, z, k)};
  }
  __device__ ForwardResult<T> result(int z) const {
    ForwardResult<T> to = finished;
    to.y += z * size;
    return to;
  }
};

// The positions of x that one phase of the stride computes.
template <class T>
struct PhaseResult {
  static constexpr bool gated = false;
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

// whole_y, whole_x: the channels of the picture, of the gradient, are multiples of four.
template <class Element, bool whole_y, bool whole_x, bool styled>
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
  GemmCut cut;

  struct Phase {
    int row, column, down, across;  // the first position and the number of positions
  };
  __device__ Phase phase(int z) const {
    const int stride = static_cast<int>(s.stride), rows = static_cast<int>(s.x_rows), columns = static_cast<int>(s.x_columns);
    const int number = z / cut.splits, beside = stride < columns ? stride : columns, row = number / beside, column = number % beside;
    return {row, column, (rows - row + stride - 1) / stride, (columns - column + stride - 1) / stride};
  }

  __device__ gemm::Slice<Gathered<T, whole_y, styled>, WeightByInput<T, whole_x>> slice(int z) const {
    const Phase p = phase(z);
    const int split = z % cut.splits, channels = static_cast<int>(s.x_channels), m = static_cast<int>(s.batch) * p.down * p.across;
    const TapWalk taps{input_grad_axis(s.kernel_rows, s, between, p.row), input_grad_axis(s.kernel_columns, s, between, p.column),
                       static_cast<int>(s.y_channels)};
    const int k = taps.down.count * taps.across.count * taps.channels;
    return {{dy, style, static_cast<int>(s.y_rows), static_cast<int>(s.y_columns), taps, m, p.down, p.across, 1},
            {w, taps, static_cast<int>(s.kernel_rows), static_cast<int>(s.kernel_columns), channels},
            m,
            channels,
            split * cut.steps * static_cast<int>(gemm_tile_k),
            gemm::steps_of(cut, split, k)};
  }
  __device__ PhaseResult<T> result(int z) const {
    const Phase p = phase(z);
    return {dx + z % cut.splits * size,
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
  GemmCut cut;

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
            z * cut.steps * static_cast<int>(gemm_tile_k),
            gemm::steps_of(cut, z, k)};
  }
  __device__ gemm::PlainResult<T> result(int z) const { return {dw + z * size, s.kernel_rows * s.kernel_columns * s.x_channels}; }
};

template <class T>
GemmCut cut_of(const ConvArgs<T>& a) { return {static_cast<GemmTile>(a.tile), a.splits, a.steps}; }

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <class T, class Product>
void launch(const char* name, const Product& product, const ConvArgs<T>& a, int64_t m, int64_t n, int64_t slices) {
  const auto tile = static_cast<GemmTile>(a.tile);
  if constexpr (sizeof(T) == sizeof(float)) gemm::launch(name, product, static_cast<ProductUnit>(a.unit), tile, m, n, slices);
  else gemm::launch(name, product, tile, m, n, slices);
}

template <class T>
ForwardResult<T> finished_of(const ConvArgs<T>& a) {
  const ConvShape& s = a.shape;
  return {a.result, a.gate, static_cast<int>(s.y_channels), static_cast<int>(s.y_rows * s.y_columns), a.epilogue ? *a.epilogue : Epilogue{}};
}

// Adds the parts, and does with each sum what a product in one part does at its end.
template <class T>
void finish_forward(const char* name, const ConvArgs<T>& a) {
  const ConvShape& s = a.shape;
  const ForwardResult<T> finished = finished_of(a);
  gemm::add_splits(name, a.partial, a.splits, s.batch * s.y_rows * s.y_columns * s.y_channels, a.result, [=] __device__(int64_t i, T sum) {
    const int row = static_cast<int>(i / finished.channels);
    const T y = finished.finish(finished.row(row), static_cast<int>(i - int64_t{row} * finished.channels), sum);
    if (finished.gate) finished.gate[i] = y > 0;
    return y;
  });
}

template <class T, bool whole, bool styled>
void forward(const ConvArgs<T>& a) {
  const ConvShape& s = a.shape;
  const int64_t m = s.batch * s.y_rows * s.y_columns, n = s.y_channels;
  Forward<T, whole, styled> product{s, a.first, a.second, a.style, finished_of(a), m * n, cut_of(a)};
  if (a.splits > 1) {
    product.finished.y = a.partial;
    product.finished.gate = nullptr;
    product.finished.e = {};
  }
  launch("conv_forward", product, a, m, n, a.splits);
  if (a.splits > 1) finish_forward("conv_forward_sum", a);
}

template <class T>
void add_plain(const char* name, const ConvArgs<T>& a, int64_t size) {
  if (a.splits > 1) gemm::add_splits(name, a.partial, a.splits, size, a.result, [] __device__(int64_t, T sum) { return sum; });
}

template <class T, bool whole_y, bool whole_x, bool styled>
void input_grad(const ConvArgs<T>& a) {
  const ConvShape& s = a.shape;
  const int64_t size = s.batch * s.x_rows * s.x_columns * s.x_channels,
                m = s.batch * divide_up(s.x_rows, s.stride) * divide_up(s.x_columns, s.stride);
  const int64_t phases = (s.stride < s.x_rows ? s.stride : s.x_rows) * (s.stride < s.x_columns ? s.stride : s.x_columns);
  const InputGrad<T, whole_y, whole_x, styled> product{
      s, a.first, a.second, a.style, a.splits > 1 ? a.partial : a.result, size, static_cast<int>(conv_taps_between(s)), cut_of(a)};
  launch("conv_input_grad", product, a, m, s.x_channels, phases * a.splits);
  add_plain("conv_input_grad_sum", a, size);
}

template <class T, bool whole_y, bool whole_x>
void weight_grad(const ConvArgs<T>& a) {
  const ConvShape& s = a.shape;
  const int64_t n = s.kernel_rows * s.kernel_columns * s.x_channels, size = s.y_channels * n;
  const WeightGrad<T, whole_y, whole_x> product{s, a.first, a.second, a.splits > 1 ? a.partial : a.result, size, cut_of(a)};
  launch("conv_weight_grad", product, a, s.y_channels, n, a.splits);
  add_plain("conv_weight_grad_sum", a, size);
}

template <class T, bool whole, bool styled>
void gather(const ConvArgs<T>& a) {
  a.kind == ConvKind::forward ? forward<T, whole, styled>(a) : input_grad<T, whole, whole, styled>(a);
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
  else if (a.y_vectors && !a.style) gradient<float, true, false>(a);  // of a picture in colours, x, behind which are many channels
  else conv<float, false>(a);
}
void conv_finish_f32_cuda(const ConvArgs<float>& a) { finish_forward("conv_finish", a); }
void conv_f64_cuda(const ConvArgs<double>& a) { conv<double, false>(a); }

}  // namespace g2s::kernels
