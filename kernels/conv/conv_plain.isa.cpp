// Convolution and its adjoints in f64, loop by loop.
#include <cstring>

#include "engine/parallel.h"
#include "kernels/conv/conv_args.h"

namespace g2s::kernels::G2S_ISA {
namespace {

constexpr std::int64_t group = 4;  // output channels that share the loads of x

// Adds <x, w[n]> to sum[n] for `count` rows of w.
void dot_group(const double* x, const double* w, std::int64_t w_stride, std::int64_t length, std::int64_t count, double* sum) {
  if (count == group) {
    const double *w0 = w, *w1 = w + w_stride, *w2 = w1 + w_stride, *w3 = w2 + w_stride;
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
    for (std::int64_t c = 0; c < length; ++c) {
      s0 += x[c] * w0[c];
      s1 += x[c] * w1[c];
      s2 += x[c] * w2[c];
      s3 += x[c] * w3[c];
    }
    sum[0] += s0;
    sum[1] += s1;
    sum[2] += s2;
    sum[3] += s3;
    return;
  }
  for (std::int64_t n = 0; n < count; ++n) {
    double s = 0;
    const double* row = w + n * w_stride;
#pragma omp simd reduction(+ : s)
    for (std::int64_t c = 0; c < length; ++c) s += x[c] * row[c];
    sum[n] += s;
  }
}

// y += scale * x
void add_scaled(double* y, const double* x, double scale, std::int64_t length) {
#pragma omp simd
  for (std::int64_t c = 0; c < length; ++c) y[c] += scale * x[c];
}

}  // namespace

void plain_conv_forward(const PlainConvArgs& a) {
  const ConvShape& s = a.shape;
  const std::int64_t w_stride = s.kernel_rows * s.kernel_columns * s.x_channels;
  parallel_for(s.batch * s.y_rows, [&](std::int64_t piece) {
    const std::int64_t b = piece / s.y_rows, i = piece % s.y_rows;
    double* row = a.result + piece * s.y_columns * s.y_channels;
    std::memset(row, 0, static_cast<std::size_t>(s.y_columns * s.y_channels) * sizeof(double));
    for (std::int64_t o = 0; o < s.y_channels; o += group) {
      const std::int64_t count = o + group <= s.y_channels ? group : s.y_channels - o;
      for (std::int64_t u = 0; u < s.kernel_rows; ++u) {
        const std::int64_t r = i * s.stride + u * s.dilation - s.pad;
        if (r < 0 || r >= s.x_rows) continue;
        for (std::int64_t v = 0; v < s.kernel_columns; ++v) {
          const double* w = a.second + o * w_stride + (u * s.kernel_columns + v) * s.x_channels;
          for (std::int64_t j = 0; j < s.y_columns; ++j) {
            const std::int64_t c = j * s.stride + v * s.dilation - s.pad;
            if (c < 0 || c >= s.x_columns) continue;
            const double* x = a.first + ((b * s.x_rows + r) * s.x_columns + c) * s.x_channels;
            dot_group(x, w, w_stride, s.x_channels, count, row + j * s.y_channels + o);
          }
        }
      }
    }
  });
}

void plain_conv_input_grad(const PlainConvArgs& a) {
  const ConvShape& s = a.shape;
  const std::int64_t w_stride = s.kernel_rows * s.kernel_columns * s.x_channels;
  parallel_for(s.batch * s.x_rows, [&](std::int64_t piece) {
    const std::int64_t b = piece / s.x_rows, r = piece % s.x_rows;
    double* row = a.result + piece * s.x_columns * s.x_channels;
    std::memset(row, 0, static_cast<std::size_t>(s.x_columns * s.x_channels) * sizeof(double));
    for (std::int64_t u = 0; u < s.kernel_rows; ++u) {
      const std::int64_t up = r + s.pad - u * s.dilation;
      if (up < 0 || up % s.stride != 0 || up / s.stride >= s.y_rows) continue;
      for (std::int64_t v = 0; v < s.kernel_columns; ++v) {
        for (std::int64_t c = 0; c < s.x_columns; ++c) {
          const std::int64_t left = c + s.pad - v * s.dilation;
          if (left < 0 || left % s.stride != 0 || left / s.stride >= s.y_columns) continue;
          const double* dy = a.first + ((b * s.y_rows + up / s.stride) * s.y_columns + left / s.stride) * s.y_channels;
          const double* w = a.second + (u * s.kernel_columns + v) * s.x_channels;
          for (std::int64_t o = 0; o < s.y_channels; ++o) add_scaled(row + c * s.x_channels, w + o * w_stride, dy[o], s.x_channels);
        }
      }
    }
  });
}

void plain_conv_weight_grad(const PlainConvArgs& a) {
  const ConvShape& s = a.shape;
  const std::int64_t taps = s.kernel_rows * s.kernel_columns;
  parallel_for(s.y_channels * taps, [&](std::int64_t piece) {
    const std::int64_t o = piece / taps, u = piece % taps / s.kernel_columns, v = piece % s.kernel_columns;
    double* dw = a.result + piece * s.x_channels;
    std::memset(dw, 0, static_cast<std::size_t>(s.x_channels) * sizeof(double));
    for (std::int64_t b = 0; b < s.batch; ++b) {
      for (std::int64_t i = 0; i < s.y_rows; ++i) {
        const std::int64_t r = i * s.stride + u * s.dilation - s.pad;
        if (r < 0 || r >= s.x_rows) continue;
        for (std::int64_t j = 0; j < s.y_columns; ++j) {
          const std::int64_t c = j * s.stride + v * s.dilation - s.pad;
          if (c < 0 || c >= s.x_columns) continue;
          const double dy = a.second[((b * s.y_rows + i) * s.y_columns + j) * s.y_channels + o];
          add_scaled(dw, a.first + ((b * s.x_rows + r) * s.x_columns + c) * s.x_channels, dy, s.x_channels);
        }
      }
    }
  });
}

}  // namespace g2s::kernels::G2S_ISA
