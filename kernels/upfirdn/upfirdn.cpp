#include "kernels/upfirdn/upfirdn.h"

#include "kernels/resample/resample.h"

namespace g2s {
namespace {

// Only taps that meet an input enter the table, so inserted zeros and padding cost nothing.
ResampleAxis fir_axis(std::int64_t in, std::int64_t out, const std::vector<double>& taps, double gain, int up, int down, int before) {
  const std::int64_t k = static_cast<std::int64_t>(taps.size());
  ResampleAxisBuilder builder(in, out);
  for (std::int64_t o = 0; o < out; ++o)
    for (std::int64_t j = 0; j < k; ++j) {
      const std::int64_t m = o * down + j - before;  // position among the inputs with their inserted zeros
      if (m >= 0 && m % up == 0 && m / up < in) builder.add(o, m / up, gain * taps[k - 1 - j]);
    }
  return builder.finish();
}

std::int64_t fir_size(std::int64_t in, std::int64_t k, int up, int down, int before, int after) {
  const std::int64_t room = in * up + before + after - k;
  return room < 0 ? 0 : room / down + 1;
}

}  // namespace

Tensor upfirdn2d(const Tensor& x, const std::vector<double>& taps, double gain, int up, int down, FirPad pad) {
  const char* op = "upfirdn2d";
  check(x.rank() == 4, op, "x must be [B,H,W,C], got ", describe(x));
  if (taps.empty() || up < 1 || down < 1)
    fail(Errc::invalid_argument, op, "needs taps, up >= 1 and down >= 1, got ", taps.size(), " taps, up ", up, ", down ", down);
  const std::int64_t k = static_cast<std::int64_t>(taps.size());
  const std::int64_t height = fir_size(x.dim(1), k, up, down, pad.y0, pad.y1), width = fir_size(x.dim(2), k, up, down, pad.x0, pad.x1);
  check(height > 0 && width > 0, op, "x ", describe(x), " with padding [", pad.x0, ",", pad.x1, ",", pad.y0, ",", pad.y1, "] and up ", up,
        " is smaller than the filter of ", k, " taps");
  return resample(x, op,
                  std::make_shared<const ResampleAxes>(ResampleAxes{fir_axis(x.dim(1), height, taps, gain, up, down, pad.y0),
                                                                    fir_axis(x.dim(2), width, taps, 1, up, down, pad.x0)}));
}

const std::vector<double>& fir_1331() {
  static const std::vector<double> taps{0.125, 0.375, 0.375, 0.125};
  return taps;
}

}  // namespace g2s
