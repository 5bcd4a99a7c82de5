#include "models/gan2shape/warnings.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numbers>

namespace g2s {
namespace {

// Squared error of the projection inside the mask: 0.004 on rendered heads, 0.005 to 0.02 on faces with the generator of faces, 0.026 to 0.078 on
// photographs with the generator of rendered heads.
constexpr double worst_projection = 0.03;
constexpr double least_mask = 0.02, most_mask = 0.95;    // of the picture's area
constexpr double piece = 0.02;                           // of the mask, below which a piece is a speck
constexpr double farthest_view = 55;                     // degrees
constexpr double least_relief = 0.004;                   // standard deviation of the depth inside the mask; an ellipsoid has 0.02 and more
constexpr double steep = 0.03, most_steep = 0.02;        // a step of the depth between neighbours at 128 pixels; the share of the mask that may have it
constexpr double worse = 1.02;                           // the loss of the input after step 3 over the one before

std::string number(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// Sizes of the mask's connected pieces, in pixels.
std::vector<std::int64_t> pieces(const Tensor& mask) {
  const std::int64_t h = mask.dim(1), w = mask.dim(2);
  const float* m = mask.data<float>();
  std::vector<bool> seen(static_cast<std::size_t>(h * w));
  std::vector<std::int64_t> sizes, open;
  for (std::int64_t start = 0; start < h * w; ++start) {
    if (seen[static_cast<std::size_t>(start)] || m[start] < 0.5f) continue;
    sizes.push_back(0);
    open = {start};
    seen[static_cast<std::size_t>(start)] = true;
    while (!open.empty()) {
      const std::int64_t at = open.back(), y = at / w, x = at % w;
      open.pop_back();
      ++sizes.back();
      const std::int64_t next[4] = {x > 0 ? at - 1 : at, x + 1 < w ? at + 1 : at, y > 0 ? at - w : at, y + 1 < h ? at + w : at};
      for (std::int64_t n : next) {
        if (seen[static_cast<std::size_t>(n)] || m[n] < 0.5f) continue;
        seen[static_cast<std::size_t>(n)] = true;
        open.push_back(n);
      }
    }
  }
  return sizes;
}

void judge_mask(const Tensor& mask, std::vector<std::string>& out) {
  const std::vector<std::int64_t> sizes = pieces(mask);
  std::int64_t all = 0, large = 0;
  for (std::int64_t size : sizes) all += size;
  for (std::int64_t size : sizes) large += static_cast<double>(size) > piece * static_cast<double>(all);
  const double share = static_cast<double>(all) / static_cast<double>(mask.numel());
  if (share < least_mask) out.push_back("the mask covers " + number("%.1f", 100 * share) + "% of the picture, which is too little to see a shape in");
  if (share > most_mask) out.push_back("the mask covers nearly the whole picture: is the object its background?");
  if (large > 1) out.push_back("the mask is in " + std::to_string(large) + " pieces: is it one object?");
}

void judge_shape(const FitResult& fit, const Config& config, std::vector<std::string>& out) {
  const std::int64_t s = config.size;
  const float *d = fit.depth.data<float>(), *m = fit.target.mask.data<float>(), *v = fit.valid.data<float>();
  double sum = 0, squares = 0, count = 0, cliffs = 0;
  auto inside = [&](std::int64_t i) { return m[i] > 0.5f && v[i] > 0.5f; };
  for (std::int64_t i = 0; i < s * s; ++i) {
    if (!inside(i)) continue;
    const double z = static_cast<double>(d[i]);
    sum += z, squares += z * z, count += 1;
    const bool right = i % s + 1 < s && inside(i + 1), below = i + s < s * s && inside(i + s);
    const double step = std::max(right ? std::abs(static_cast<double>(d[i + 1]) - z) : 0, below ? std::abs(static_cast<double>(d[i + s]) - z) : 0);
    cliffs += step * static_cast<double>(s) / 128 > steep;
  }
  if (count == 0) {
    out.push_back("nothing of the object is seen in its own view: the fit has failed");
    return;
  }
  const double relief = std::sqrt(std::max(0.0, squares / count - sum / count * (sum / count)));
  if (relief < least_relief) out.push_back("the shape is nearly flat (relief " + number("%.4f", relief) + "): the fit has failed");
  if (cliffs > most_steep * count) out.push_back("the shape has spikes or cliffs on " + number("%.0f", 100 * cliffs / count) + "% of the object");
}

void judge_view(const FitResult& fit, std::vector<std::string>& out) {
  const float* view = fit.view.data<float>();
  for (const auto& [axis, name] : {std::pair{0, "pitch"}, std::pair{1, "yaw"}}) {
    const double angle = static_cast<double>(view[axis]) * 180 / std::numbers::pi;
    if (std::abs(angle) > farthest_view) out.push_back(std::string("the view is at its limit (") + name + number(" %.0f degrees)", angle) + ": it was probably not found");
  }
}

// The total of the input's losses: before and after the last step 3 that was not interrupted by a mirror.
void judge_losses(const FitResult& fit, std::vector<std::string>& out) {
  auto total = [](const NamedLosses& losses) {
    for (const auto& [name, value] : losses)
      if (name == "total") return value;
    return 0.0;
  };
  for (auto record = fit.history.rbegin(); record != fit.history.rend(); ++record) {
    if (record->phase != Phase::step3) continue;
    const double before = total(record->first), after = total(record->last);
    if (after > before * worse) out.push_back("step 3 made its own losses worse (" + number("%.3f", before) + " to " + number("%.3f", after) + ")");
    return;
  }
}

}  // namespace

std::vector<std::string> fit_warnings(const FitResult& fit, const Config& config) {
  std::vector<std::string> out;
  if (fit.projection.mse_masked > worst_projection) {
    out.push_back("the generator does not show this picture well (squared error " + number("%.3f", fit.projection.mse_masked) + " inside the mask, over " +
                  number("%.3f", worst_projection) + "): it knows other objects or another frame, and the shape may be wrong");
  }
  judge_mask(fit.target.mask, out);
  judge_shape(fit, config, out);
  judge_view(fit, out);
  judge_losses(fit, out);
  return out;
}

}  // namespace g2s
