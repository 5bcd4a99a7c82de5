#include <algorithm>
#include <string>

#include "engine/parallel.h"
#include "engine/precision.h"
#include "kernels/conv/conv_choice.h"
#include "kernels/conv/conv_paths.h"
#include "kernels/matmul/matmul_args.h"
#include "kernels/matmul/weight_layout.h"

namespace g2s::kernels {
namespace {

constexpr std::int64_t few_channels = 8;  // inputs for which neighbouring taps are read as one

// The taps that one phase of an indirect product uses.
struct Taps {
  std::vector<std::int32_t> rows, columns;
  std::vector<std::int64_t> offsets;  // of each tap in the weight
  std::int64_t row_count = 0, column_count = 0;
};

struct Axis {
  std::vector<std::int32_t> shift;   // ascending
  std::vector<std::int64_t> kernel;  // which row (column) of the kernel
};

Axis forward_axis(std::int64_t kernel, std::int64_t dilation, std::int64_t pad) {
  Axis a;
  for (std::int64_t u = 0; u < kernel; ++u) {
    a.shift.push_back(static_cast<std::int32_t>(u * dilation - pad));
    a.kernel.push_back(u);
  }
  return a;
}

// What reaches the input positions `phase`, `phase` + stride, ...
Axis input_grad_axis(std::int64_t kernel, std::int64_t dilation, std::int64_t pad, std::int64_t stride, std::int64_t phase) {
  Axis a;
  for (std::int64_t u = kernel - 1; u >= 0; --u) {
    const std::int64_t at = phase + pad - u * dilation;
    if (at % stride != 0) continue;
    a.shift.push_back(static_cast<std::int32_t>(at / stride));
    a.kernel.push_back(u);
  }
  return a;
}

Taps combine(const Axis& rows, const Axis& columns, std::int64_t kernel_columns, std::int64_t tap_stride) {
  Taps t;
  t.row_count = static_cast<std::int64_t>(rows.shift.size());
  t.column_count = static_cast<std::int64_t>(columns.shift.size());
  for (std::size_t u = 0; u < rows.shift.size(); ++u) {
    for (std::size_t v = 0; v < columns.shift.size(); ++v) {
      t.rows.push_back(rows.shift[u]);
      t.columns.push_back(columns.shift[v]);
      t.offsets.push_back((rows.kernel[u] * kernel_columns + columns.kernel[v]) * tap_stride);
    }
  }
  return t;
}

std::string key(const char* what, const ConvShape& s, std::int64_t phase) {
  std::string k = what;
  for (std::int64_t v : {s.stride, s.pad, s.dilation, phase}) k += ' ' + std::to_string(v);
  return k;
}

// A copy of x with a zero border such that every tap of every one of rows x columns positions lies inside. Moves the taps accordingly.
Tensor with_border(const Tensor& x, std::int64_t positions_down, std::int64_t positions_across, std::int64_t step, Taps& taps) {
  const std::int64_t x_rows = x.dim(1), x_columns = x.dim(2), channels = x.dim(3);
  const std::int64_t top = -*std::min_element(taps.rows.begin(), taps.rows.end());
  const std::int64_t left = -*std::min_element(taps.columns.begin(), taps.columns.end());
  const std::int64_t rows = (positions_down - 1) * step + *std::max_element(taps.rows.begin(), taps.rows.end()) + top + 1;
  const std::int64_t columns = (positions_across - 1) * step + *std::max_element(taps.columns.begin(), taps.columns.end()) + left + 1;
  Tensor out = Tensor::empty({x.dim(0), rows, columns, channels});
  // Source columns [first, last) are copied to column `left` + first on.
  const std::int64_t first = std::clamp<std::int64_t>(-left, 0, x_columns), last = std::clamp(columns - left, first, x_columns);
  float* to = out.mutable_data<float>();
  const float* from = x.data<float>();
  parallel_blocks(x.dim(0) * rows, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t r = i % rows - top;
      float* row = to + i * columns * channels;
      if (r < 0 || r >= x_rows || first == last) {
        std::fill_n(row, columns * channels, 0.f);
        continue;
      }
      std::fill_n(row, (left + first) * channels, 0.f);
      std::copy_n(from + ((i / rows * x_rows + r) * x_columns + first) * channels, (last - first) * channels, row + (left + first) * channels);
      std::fill_n(row + (left + last) * channels, (columns - left - last) * channels, 0.f);
    }
  });
  for (auto& r : taps.rows) r += static_cast<std::int32_t>(top);
  for (auto& c : taps.columns) c += static_cast<std::int32_t>(left);
  return out;
}

// Do the taps read a square of neighbouring pixels?
bool neighbouring(const Taps& taps) {
  if (taps.row_count == 0 || taps.column_count == 0) return false;
  return taps.rows.back() - taps.rows.front() == taps.row_count - 1 && taps.columns.back() - taps.columns.front() == taps.column_count - 1;
}

// Do the taps of a row read neighbouring pixels?
bool mergeable(const Taps& taps) {
  return taps.column_count > 1 && taps.row_count > 0 && taps.columns.back() - taps.columns.front() == taps.column_count - 1;
}

// Keeps the first tap of each row.
void merge(Taps& taps) {
  const std::size_t rows = static_cast<std::size_t>(taps.row_count), columns = static_cast<std::size_t>(taps.column_count);
  for (std::size_t u = 0; u < rows; ++u) {
    taps.rows[u] = taps.rows[u * columns];
    taps.columns[u] = taps.columns[u * columns];
  }
  taps.rows.resize(rows);
  taps.columns.resize(rows);
}

// Fills in the weight and, where it pays, merges the taps of a row; then runs. `ties`: equal neighbourhoods must give equal bits.
void run(IndirectGemmArgs g, const Tensor& x, const WeightView& view, Taps taps, const std::string& cache_key, bool ties) {
  g.x = x.data<float>();
  g.k = view.k;
  g.n = view.n;
  if (precision() == Precision::bf16 && !taps.rows.empty()) {
    g.taps = static_cast<std::int64_t>(taps.rows.size());
    g.tap_rows = taps.rows.data();
    g.tap_columns = taps.columns.data();
    return conv_bf16(g, view, cache_key);
  }
  const std::int64_t kernel = taps.row_count;
  if (kernel == taps.column_count && (kernel == 3 || kernel == 5) && g.x_step == 1 && g.y_step == 1 && neighbouring(taps)) {
    const ConvPath path = choose_conv_path({kernel, g.batch, g.rows, g.columns, view.k, view.n, view.owner.is_constant()});
    if (path != ConvPath::direct) {
      conv_winograd(g, path == ConvPath::winograd6 ? 6 : 4, kernel, -taps.rows[0], -taps.columns[0], x, view, cache_key, ties);
      return;
    }
  }
  const PreparedWeight weight = prepare_weight(view, g.batch * g.rows * g.columns, cache_key);
  Tensor zeros, border;
  g.w = weight.data;
  g.layout = weight.layout;
  g.w_stride = weight.stride;
  g.tap_offsets = weight.tap_offsets.data();
  g.tap_width = 1;
  g.zeros = zeros_for(view.k, zeros);
  if (g.layout == WeightLayout::panels && view.k <= few_channels && mergeable(taps)) {
    border = with_border(x, g.rows, g.columns, g.x_step, taps);
    g.x = border.data<float>();
    g.x_rows = border.dim(1);
    g.x_columns = border.dim(2);
    g.tap_width = taps.column_count;
    merge(taps);
  }
  g.taps = static_cast<std::int64_t>(taps.rows.size());
  g.tap_rows = taps.rows.data();
  g.tap_columns = taps.columns.data();
  indirect_gemm(g);
}

}  // namespace

void conv_forward_cpu(const ConvShape& s, const Tensor& x, const Tensor& w, Tensor& y, const EpilogueArgs& epilogue) {
  IndirectGemmArgs g{};
  g.epilogue = epilogue;
  g.y = y.mutable_data<float>();
  g.batch = s.batch;
  g.x_rows = s.x_rows, g.x_columns = s.x_columns;
  g.y_rows = g.rows = s.y_rows;
  g.y_columns = g.columns = s.y_columns;
  g.y_step = 1;
  g.x_step = s.stride;
  Taps taps = combine(forward_axis(s.kernel_rows, s.dilation, s.pad), forward_axis(s.kernel_columns, s.dilation, s.pad), s.kernel_columns,
                      s.x_channels);
  const WeightView view{w.data<float>(), w, s.x_channels, s.y_channels, 1, s.kernel_rows * s.kernel_columns * s.x_channels, taps.offsets};
  run(g, x, view, std::move(taps), "forward", epilogue.noise == nullptr);
}

void conv_input_grad_cpu(const ConvShape& s, const Tensor& dy, const Tensor& w, Tensor& dx) {
  IndirectGemmArgs g{};
  g.y = dx.mutable_data<float>();
  g.batch = s.batch;
  g.x_rows = s.y_rows, g.x_columns = s.y_columns;
  g.y_rows = s.x_rows, g.y_columns = s.x_columns;
  g.y_step = s.stride;
  g.x_step = 1;
  // Every input position of one phase meets the same taps.
  for (std::int64_t row = 0; row < std::min(s.stride, s.x_rows); ++row) {
    for (std::int64_t column = 0; column < std::min(s.stride, s.x_columns); ++column) {
      g.rows = (s.x_rows - row + s.stride - 1) / s.stride;
      g.columns = (s.x_columns - column + s.stride - 1) / s.stride;
      g.y_first_row = row;
      g.y_first_column = column;
      Taps taps = combine(input_grad_axis(s.kernel_rows, s.dilation, s.pad, s.stride, row),
                          input_grad_axis(s.kernel_columns, s.dilation, s.pad, s.stride, column), s.kernel_columns, s.x_channels);
      const WeightView view{w.data<float>(), w, s.y_channels, s.x_channels, s.kernel_rows * s.kernel_columns * s.x_channels, 1, taps.offsets};
      run(g, dy, view, std::move(taps), key("input_grad", s, row * s.stride + column), false);
    }
  }
}

void conv_weight_grad_cpu(const ConvShape& s, const Tensor& x, const Tensor& dy, Tensor& dw) {
  Taps taps = combine(forward_axis(s.kernel_rows, s.dilation, s.pad), forward_axis(s.kernel_columns, s.dilation, s.pad), s.kernel_columns, 1);
  const std::int64_t all_taps = s.kernel_rows * s.kernel_columns;
  // Vectors run along the channels of one factor: of dy where x has few.
  const bool swap = s.x_channels <= few_channels && s.y_channels > s.x_channels;
  const bool merged = swap && mergeable(taps);
  Tensor border, turned, partial;
  PixelGemmArgs g{};
  g.batch = s.batch;
  g.rows = s.y_rows, g.columns = s.y_columns;
  PixelFactor of_x{x.data<float>(), s.x_rows, s.x_columns, s.x_channels, s.stride, s.x_channels};
  const PixelFactor of_dy{dy.data<float>(), s.y_rows, s.y_columns, s.y_channels, 1, s.y_channels};
  if (merged) {
    border = with_border(x, s.y_rows, s.y_columns, s.stride, taps);
    of_x = {border.data<float>(), border.dim(1), border.dim(2), s.x_channels, s.stride, s.x_channels * s.kernel_columns};
    merge(taps);
  }
  g.taps = static_cast<std::int64_t>(taps.rows.size());
  g.tap_rows = taps.rows.data();
  g.tap_columns = taps.columns.data();
  g.taps_move_f = swap;
  g.f = swap ? of_x : of_dy;
  g.g = swap ? of_dy : of_x;
  if (swap) {
    turned = Tensor::empty({all_taps * s.x_channels, s.y_channels});
    g.c = turned.mutable_data<float>();
    g.c_m_stride = s.y_channels;
    g.c_tap_stride = of_x.width * s.y_channels;
  } else {
    g.c = dw.mutable_data<float>();
    g.c_m_stride = all_taps * s.x_channels;
    g.c_tap_stride = s.x_channels;
  }
  g.split_k = pixel_split_k(s.batch * s.y_rows * s.y_columns, g.f.width, g.taps, g.g.width);
  if (g.split_k > 1) {
    partial = Tensor::empty({g.split_k, dw.numel()});
    g.partial = partial.mutable_data<float>();
  }
  pixel_gemm(g);
  if (swap) transpose_matrix({turned.data<float>(), dw.mutable_data<float>(), all_taps * s.x_channels, s.y_channels});
}

}  // namespace g2s::kernels
