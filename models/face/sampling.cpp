#include "models/face/sampling.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "engine/image.h"
#include "engine/parallel.h"

namespace g2s {
namespace {

void require_pixels(const char* op, const Tensor& x) {
  check(x.defined() && x.rank() == 4 && x.dim(0) == 1 && x.dtype() == DType::u8 && !x.on_cuda() && x.numel() > 0, op,
        "u8 pixels [1,H,W,C] on the CPU wanted, got ", x.defined() ? describe(x) : "an undefined tensor");
}

// Mirrored at 0 and n until it lies between them.
double mirrored(double v, double n) {
  if (v >= 0 && v <= n) return v;
  v = std::fmod(std::abs(v), 2 * n);
  return v > n ? 2 * n - v : v;
}

struct Range {
  std::int64_t begin, end;
};

// The pixels of an axis of `size` that lie between low and high, or are seen there in the mirror.
Range seen_range(double low, double high, std::int64_t size) {
  const double n = static_cast<double>(size);
  double from = low, to = high;
  if (low < 0) to = std::max(to, -low), from = 0;
  if (high > n) from = std::min(from, 2 * n - high), to = n;
  if (low < 0 && high > n) from = 0, to = n;
  const auto begin = static_cast<std::int64_t>(std::clamp(std::floor(from) - 2, 0.0, n - 1));
  const auto end = static_cast<std::int64_t>(std::clamp(std::ceil(to) + 2, 1.0, n));
  return {begin, std::max(end, begin + 1)};
}

Range seen_range(const Corners& corners, double Point::*axis, std::int64_t size) {
  const auto less = [axis](Point a, Point b) { return a.*axis < b.*axis; };
  const auto [low, high] = std::minmax_element(corners.begin(), corners.end(), less);
  return seen_range((*low).*axis, (*high).*axis, size);
}

// What one sample adds to a pixel: bilinear between pixel centres, the outermost ones repeated.
class Source {
 public:
  // `pixels` begin at (left, top) of a picture of width x height, k x k of whose pixels are one of theirs.
  Source(const Tensor& pixels, Range columns, Range rows, std::int64_t k, double width, double height)
      : data_(pixels.data<std::uint8_t>()),
        h_(pixels.dim(1)),
        w_(pixels.dim(2)),
        c_(pixels.dim(3)),
        left_(static_cast<double>(columns.begin)),
        top_(static_cast<double>(rows.begin)),
        scale_(1 / static_cast<double>(k)),
        width_(width),
        height_(height) {}

  void add(Point p, float* sums) const {
    const double u = (mirrored(p.x, width_) - left_) * scale_ - 0.5, v = (mirrored(p.y, height_) - top_) * scale_ - 0.5;
    const double x = std::clamp(u, 0.0, static_cast<double>(w_ - 1)), y = std::clamp(v, 0.0, static_cast<double>(h_ - 1));
    const auto i = static_cast<std::int64_t>(y), j = static_cast<std::int64_t>(x);
    const float fy = static_cast<float>(y - static_cast<double>(i)), fx = static_cast<float>(x - static_cast<double>(j));
    const std::uint8_t *a = data_ + (i * w_ + j) * c_, *b = i + 1 < h_ ? a + w_ * c_ : a;
    const std::int64_t next = j + 1 < w_ ? c_ : 0;
    for (std::int64_t k = 0; k < c_; ++k) {
      const float upper = static_cast<float>(a[k]) * (1 - fx) + static_cast<float>(a[next + k]) * fx;
      const float lower = static_cast<float>(b[k]) * (1 - fx) + static_cast<float>(b[next + k]) * fx;
      sums[k] += upper * (1 - fy) + lower * fy;
    }
  }

 private:
  const std::uint8_t* data_;
  std::int64_t h_, w_, c_;
  double left_, top_, scale_, width_, height_;
};

// The part of the picture that a square sees, reduced as far as four samples a pixel in each direction can make up for.
struct Seen {
  Tensor pixels;
  Range columns, rows;
  std::int64_t k;
};

Seen seen_part(const Tensor& pixels, const Corners& corners, double step) {
  Seen s{pixels, seen_range(corners, &Point::x, pixels.dim(2)), seen_range(corners, &Point::y, pixels.dim(1)), 1};
  const std::int64_t w = s.columns.end - s.columns.begin, h = s.rows.end - s.rows.begin;
  s.k = static_cast<std::int64_t>(std::clamp(step / 2, 1.0, static_cast<double>(std::min({w, h, std::int64_t{256}}))));
  s.pixels = crop_pixels(pixels, s.rows.begin, s.columns.begin, h, w);
  if (s.k > 1) s.pixels = reduce_pixels(s.pixels, s.k);
  return s;
}

}  // namespace

double length(Point a) { return std::hypot(a.x, a.y); }

Corners square_corners(Point centre, double side, double angle) {
  const Point x{side / 2 * std::cos(angle), side / 2 * std::sin(angle)}, y{-x.y, x.x};
  return {centre - x - y, centre - x + y, centre + x + y, centre + x - y};
}

Tensor reduce_pixels(const Tensor& pixels, std::int64_t k) {
  require_pixels("reduce_pixels", pixels);
  check(k >= 1 && k <= 256 && pixels.dim(1) >= k && pixels.dim(2) >= k, "reduce_pixels", describe(pixels), " by ", k);
  const std::int64_t h = pixels.dim(1) / k, w = pixels.dim(2) / k, c = pixels.dim(3), row = pixels.dim(2) * c;
  Tensor out = Tensor::empty({1, h, w, c}, DType::u8, Device{});
  const std::uint8_t* from = pixels.data<std::uint8_t>();
  std::uint8_t* to = out.mutable_data<std::uint8_t>();
  parallel_for(h, [=](std::int64_t i) {
    std::vector<std::uint16_t> sums(static_cast<std::size_t>(row), 0);  // 256 times 255 fits
    for (std::int64_t r = 0; r < k; ++r) {
      const std::uint8_t* p = from + (i * k + r) * row;
      for (std::int64_t j = 0; j < row; ++j)
        sums[static_cast<std::size_t>(j)] = static_cast<std::uint16_t>(sums[static_cast<std::size_t>(j)] + p[j]);
    }
    for (std::int64_t j = 0; j < w * c; ++j) {
      const std::uint16_t* p = sums.data() + j / c * k * c + j % c;
      std::uint32_t sum = static_cast<std::uint32_t>(k * k / 2);
      for (std::int64_t r = 0; r < k; ++r) sum += p[r * c];
      to[i * w * c + j] = static_cast<std::uint8_t>(sum / static_cast<std::uint32_t>(k * k));
    }
  });
  return out;
}

Tensor sample_square(const Tensor& pixels, const Corners& corners, std::int64_t size, bool coarse) {
  require_pixels("sample_square", pixels);
  check(size > 0, "sample_square", "a size of ", size);
  for (Point p : corners) check(std::isfinite(p.x) && std::isfinite(p.y), "sample_square", "a corner is no number");
  const double n = static_cast<double>(size), side = length(corners[3] - corners[0]);
  const Point right = 1 / n * (corners[3] - corners[0]), down = 1 / n * (corners[1] - corners[0]);
  const Seen seen = seen_part(pixels, corners, side / n);
  const Source source(seen.pixels, seen.columns, seen.rows, seen.k, static_cast<double>(pixels.dim(2)), static_cast<double>(pixels.dim(1)));
  const std::int64_t c = pixels.dim(3);
  const double covered = side / n / static_cast<double>(seen.k);
  const auto samples = static_cast<std::int64_t>(std::clamp(coarse ? std::floor(covered) : std::ceil(covered), 1.0, 8.0));
  Tensor out = Tensor::zeros({1, size, size, c}, DType::f32, Device{});
  float* to = out.mutable_data<float>();
  parallel_for(size, [&](std::int64_t i) {
    const double m = static_cast<double>(samples);
    for (std::int64_t j = 0; j < size; ++j) {
      float* sums = to + (i * size + j) * c;
      for (std::int64_t s = 0; s < samples * samples; ++s) {
        const double x = static_cast<double>(j) + (static_cast<double>(s % samples) + 0.5) / m;
        const double y = static_cast<double>(i) + (static_cast<double>(s / samples) + 0.5) / m;
        source.add(corners[0] + x * right + y * down, sums);
      }
      for (std::int64_t k = 0; k < c; ++k) sums[k] /= static_cast<float>(samples * samples);
    }
  });
  return out;
}

}  // namespace g2s
