// Arithmetic on decoded pixels: resize, crop, range.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "engine/image.h"
#include "engine/parallel.h"

namespace g2s {
namespace {

// Each output is a weighted sum of consecutive inputs. Weights are fixed-point numbers with 22 fractional bits: 8 bits of value, 2 spare for
// the sum to exceed it.
constexpr int fraction_bits = 22;

struct Taps {
  std::int64_t first;
  std::vector<std::int32_t> weights;
};

double filter_value(ResizeFilter filter, double x) {
  if (filter == ResizeFilter::box) return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
  return std::max(0.0, 1.0 - std::abs(x));
}

// The filter is stretched by the reduction, so that every input counts; enlarging interpolates.
std::vector<Taps> make_taps(std::int64_t from, std::int64_t to, ResizeFilter filter) {
  const double scale = static_cast<double>(from) / static_cast<double>(to), stretch = std::max(scale, 1.0);
  const double reach = (filter == ResizeFilter::box ? 0.5 : 1.0) * stretch, shrink = 1.0 / stretch;
  std::vector<Taps> taps(static_cast<std::size_t>(to));
  std::vector<double> exact;
  for (std::int64_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    // Inputs whose centres round into the filter's reach.
    const std::int64_t begin = std::max<std::int64_t>(0, static_cast<std::int64_t>(centre - reach + 0.5));
    const std::int64_t end = std::min<std::int64_t>(from, static_cast<std::int64_t>(centre + reach + 0.5));
    exact.clear();
    double sum = 0;
    for (std::int64_t j = begin; j < end; ++j) {
      exact.push_back(filter_value(filter, (static_cast<double>(j) - centre + 0.5) * shrink));
      sum += exact.back();
    }
    Taps& t = taps[static_cast<std::size_t>(i)];
    t.first = begin;
    for (double w : exact) t.weights.push_back(static_cast<std::int32_t>(w / sum * (1 << fraction_bits) + 0.5));
  }
  return taps;
}

std::uint8_t rounded(std::int32_t sum) { return static_cast<std::uint8_t>(std::clamp(sum >> fraction_bits, 0, 255)); }
constexpr std::int32_t half = 1 << (fraction_bits - 1);

void resize_rows(const std::uint8_t* x, std::uint8_t* y, std::int64_t rows, std::int64_t from, std::int64_t to, std::int64_t c,
                 const std::vector<Taps>& taps) {
  parallel_blocks(rows, std::max<std::int64_t>(1, (1 << 16) / std::max<std::int64_t>(1, from * c)), [=, &taps](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r)
      for (std::int64_t i = 0; i < to; ++i) {
        const Taps& t = taps[static_cast<std::size_t>(i)];
        const std::uint8_t* p = x + (r * from + t.first) * c;
        for (std::int64_t k = 0; k < c; ++k) {
          std::int32_t sum = half;
          for (std::size_t j = 0; j < t.weights.size(); ++j) sum += p[static_cast<std::int64_t>(j) * c + k] * t.weights[j];
          y[(r * to + i) * c + k] = rounded(sum);
        }
      }
  });
}

void resize_columns(const std::uint8_t* x, std::uint8_t* y, std::int64_t to, std::int64_t row, const std::vector<Taps>& taps) {
  parallel_for(to, [=, &taps](std::int64_t i) {
    const Taps& t = taps[static_cast<std::size_t>(i)];
    std::vector<std::int32_t> sums(static_cast<std::size_t>(row), half);
    for (std::size_t j = 0; j < t.weights.size(); ++j) {
      const std::uint8_t* p = x + (t.first + static_cast<std::int64_t>(j)) * row;
      for (std::int64_t k = 0; k < row; ++k) sums[static_cast<std::size_t>(k)] += p[k] * t.weights[j];
    }
    for (std::int64_t k = 0; k < row; ++k) y[i * row + k] = rounded(sums[static_cast<std::size_t>(k)]);
  });
}

void require_image(const char* op, const Tensor& x) {
  check(x.rank() == 4 && x.dim(0) == 1, op, "one picture [1,H,W,C] wanted, got ", describe(x));
}

}  // namespace

Tensor resize_pixels(const Tensor& pixels, std::int64_t height, std::int64_t width, ResizeFilter filter) {
  require_image("resize_pixels", pixels);
  check(pixels.dtype() == DType::u8 && pixels.numel() > 0, "resize_pixels", "u8 pixels wanted, got ", describe(pixels));
  check(height > 0 && width > 0, "resize_pixels", "to ", width, " x ", height, " pixels");
  const std::int64_t h = pixels.dim(1), w = pixels.dim(2), c = pixels.dim(3);
  Tensor across = pixels;
  if (width != w) {
    across = Tensor::empty({1, h, width, c}, DType::u8, Device{});
    resize_rows(pixels.data<std::uint8_t>(), across.mutable_data<std::uint8_t>(), h, w, width, c, make_taps(w, width, filter));
  }
  if (height == h) return across;
  Tensor out = Tensor::empty({1, height, width, c}, DType::u8, Device{});
  resize_columns(across.data<std::uint8_t>(), out.mutable_data<std::uint8_t>(), height, width * c, make_taps(h, height, filter));
  return out;
}

Tensor crop_pixels(const Tensor& pixels, std::int64_t top, std::int64_t left, std::int64_t height, std::int64_t width) {
  require_image("crop_pixels", pixels);
  const std::int64_t h = pixels.dim(1), w = pixels.dim(2), c = pixels.dim(3);
  check(top >= 0 && left >= 0 && height > 0 && width > 0 && top <= h - height && left <= w - width, "crop_pixels", width, " x ", height, " at (", left,
        ", ", top, ") of ", describe(pixels));
  Tensor out = Tensor::empty({1, height, width, c}, pixels.dtype(), Device{});
  const std::size_t size = size_of(pixels.dtype()), row = static_cast<std::size_t>(width * c) * size;
  const char* from = static_cast<const char*>(pixels.raw());
  char* to = static_cast<char*>(out.mutable_raw());
  for (std::int64_t i = 0; i < height; ++i) {
    std::memcpy(to + static_cast<std::size_t>(i) * row, from + static_cast<std::size_t>(((top + i) * w + left) * c) * size, row);
  }
  return out;
}

Tensor pixels_to_image(const Tensor& pixels) {
  Tensor out = Tensor::empty(pixels.shape(), DType::f32, Device{});
  const std::uint8_t* x = pixels.data<std::uint8_t>();
  float* y = out.mutable_data<float>();
  for (std::int64_t i = 0; i < out.numel(); ++i) y[i] = static_cast<float>(x[i]) / 255.f * 2.f - 1.f;
  return out;
}

Tensor image_to_pixels(const Tensor& image) {
  Tensor out = Tensor::empty(image.shape(), DType::u8, Device{});
  const float* x = image.data<float>();
  std::uint8_t* y = out.mutable_data<std::uint8_t>();
  for (std::int64_t i = 0; i < out.numel(); ++i) {
    float v = (x[i] + 1.f) * 127.5f + 0.5f;
    y[i] = v >= 255.f ? 255 : v >= 0.f ? static_cast<std::uint8_t>(v) : 0;  // NaN becomes 0
  }
  return out;
}

}  // namespace g2s
