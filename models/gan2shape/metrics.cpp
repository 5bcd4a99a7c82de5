#include "models/gan2shape/metrics.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/autograd.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce.h"
#include "models/gan2shape/prior.h"

namespace g2s {
namespace {

// Keeps a pixel whose whole 3 x 3 neighbourhood lies inside the image and the mask.
std::vector<bool> eroded(const Tensor& mask) {
  const std::int64_t h = mask.dim(1), w = mask.dim(2);
  Tensor m = mask.to(DType::f64);
  const double* p = m.data<double>();
  std::vector<bool> out(static_cast<std::size_t>(h * w), false);
  for (std::int64_t y = 1; y + 1 < h; ++y) {
    for (std::int64_t x = 1; x + 1 < w; ++x) {
      double sum = 0;
      for (std::int64_t v = -1; v <= 1; ++v) {
        for (std::int64_t u = -1; u <= 1; ++u) sum += p[(y + v) * w + x + u];
      }
      out[static_cast<std::size_t>(y * w + x)] = sum / 9 > 0.99;
    }
  }
  return out;
}

}  // namespace

Tensor truth_mask(const Tensor& depth) {
  const Tensor d = depth.detach().to(DType::f32);
  return less(d, max_element(d).item());
}

Accuracy measure(const Tensor& depth, const Tensor& truth, const Tensor& true_mask, const Tensor& predicted_mask, Pinhole camera) {
  for (const Tensor* t : {&truth, &true_mask, &predicted_mask}) {
    check(t->shape() == depth.shape() && depth.rank() == 4 && depth.dim(0) == 1 && depth.dim(3) == 1, "measure",
          "depth, truth and masks must all be [1,S,S,1] (depth ", describe(depth), ", other ", describe(*t), ")");
  }
  NoGrad no_grad;
  const auto inside_truth = eroded(true_mask), inside_prediction = eroded(predicted_mask);
  Tensor d = depth.to(DType::f64), t = truth.to(DType::f64);
  Tensor nd = normals_from_depth(d, camera), nt = normals_from_depth(t, camera);
  const double *pd = d.data<double>(), *pt = t.data<double>(), *pnd = nd.data<double>(), *pnt = nt.data<double>();
  Accuracy out;
  double sum = 0, angles = 0;
  std::vector<double> differences;
  for (std::size_t i = 0; i < inside_truth.size(); ++i) {
    if (!inside_truth[i] || !inside_prediction[i]) continue;
    differences.push_back(std::log(pd[i]) - std::log(pt[i]));
    sum += differences.back();
    const double dot = pnd[3 * i] * pnt[3 * i] + pnd[3 * i + 1] * pnt[3 * i + 1] + pnd[3 * i + 2] * pnt[3 * i + 2];
    angles += std::acos(std::clamp(dot, -1.0, 1.0)) * 180 / std::numbers::pi;
  }
  if (differences.empty()) fail(Errc::invalid_argument, "measure", "the true and the predicted mask have no pixel in common");
  const double n = static_cast<double>(differences.size()), average = sum / n;
  double squares = 0;
  for (double v : differences) squares += (v - average) * (v - average);
  out.side = std::sqrt(squares / n);
  out.mad = angles / n;
  out.pixels = static_cast<std::int64_t>(differences.size());
  return out;
}

Measures measure_all(const Tensor& depth, const Tensor& predicted_mask, const Tensor& truth, const Tensor& object_mask, const Config& config) {
  // Few numbers, read one by one: on the CPU.
  const DefaultDevice host{Device{}};
  auto here = [](const Tensor& t) { return t.detach().to(Device{}); };
  const Tensor true_depth = here(truth), mask = truth_mask(true_depth), predicted = here(predicted_mask);
  const Pinhole camera = Renderer(config.renderer()).camera();
  auto of = [&](const Tensor& d) { return measure(d, true_depth, mask, predicted, camera); };
  return {of(here(depth)), of(ellipsoid_depth(object_mask, config)), of(Tensor::full(true_depth.shape(), 1.0))};
}

}  // namespace g2s
