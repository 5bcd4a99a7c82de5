#include "kernels/resize/resize.h"

#include <cmath>

#include "kernels/resample/resample.h"

namespace g2s {
namespace {

ResampleAxis bilinear_axis(std::int64_t in, std::int64_t out) {
  ResampleAxisBuilder builder(in, out);
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  for (std::int64_t o = 0; o < out; ++o) {
    const double centre = std::max((static_cast<double>(o) + 0.5) * scale - 0.5, 0.0);
    const std::int64_t first = std::min(static_cast<std::int64_t>(centre), in - 1);
    const double fraction = first + 1 < in ? centre - static_cast<double>(first) : 0;
    builder.add(o, first, 1 - fraction);
    if (fraction > 0) builder.add(o, first + 1, fraction);
  }
  return builder.finish();
}

ResampleAxis area_axis(std::int64_t in, std::int64_t out) {
  ResampleAxisBuilder builder(in, out);
  for (std::int64_t o = 0; o < out; ++o) {
    const std::int64_t begin = o * in / out, end = ((o + 1) * in + out - 1) / out;
    for (std::int64_t i = begin; i < end; ++i) builder.add(o, i, 1.0 / static_cast<double>(end - begin));
  }
  return builder.finish();
}

ResampleAxis nearest_axis(std::int64_t in, std::int64_t out) {
  ResampleAxisBuilder builder(in, out);
  for (std::int64_t o = 0; o < out; ++o) builder.add(o, o * in / out, 1);
  return builder.finish();
}

using MakeAxis = ResampleAxis (*)(std::int64_t, std::int64_t);

Tensor resize_by(const Tensor& x, const char* op, MakeAxis axis, std::int64_t height, std::int64_t width) {
  check(x.rank() == 4 && x.dim(1) > 0 && x.dim(2) > 0, op, "x must be [B,H,W,C], got ", describe(x));
  if (height < 1 || width < 1) fail(Errc::invalid_argument, op, "cannot resize ", describe(x), " to ", height, " x ", width);
  return resample(x, op, std::make_shared<const ResampleAxes>(ResampleAxes{axis(x.dim(1), height), axis(x.dim(2), width)}));
}

}  // namespace

Tensor resize_bilinear(const Tensor& x, std::int64_t height, std::int64_t width) {
  return resize_by(x, "resize_bilinear", bilinear_axis, height, width);
}

Tensor resize_area(const Tensor& x, std::int64_t height, std::int64_t width) {
  return resize_by(x, "resize_area", area_axis, height, width);
}

Tensor resize_nearest(const Tensor& x, std::int64_t height, std::int64_t width) {
  return resize_by(x, "resize_nearest", nearest_axis, height, width);
}

Tensor resize(const Tensor& x, std::int64_t height, std::int64_t width) {
  check(x.rank() == 4, "resize", "x must be [B,H,W,C], got ", describe(x));
  if (height == x.dim(1) && width == x.dim(2)) return x;
  const bool larger = height > x.dim(1) || (height == x.dim(1) && width > x.dim(2));
  return larger ? resize_bilinear(x, height, width) : resize_area(x, height, width);
}

}  // namespace g2s
