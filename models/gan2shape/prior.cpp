#include "models/gan2shape/prior.h"

#include <algorithm>
#include <cmath>

#include "engine/autograd.h"
#include "kernels/adam/adam.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/random/random.h"
#include "kernels/reduce/reduce.h"
#include "models/gan2shape/input.h"
#include "models/gan2shape/steps.h"

namespace g2s {
namespace {

struct Box {
  double min_x, max_x, min_y, max_y;
};

Box box_of(const Tensor& mask) {
  const ImageBox box = bounding_box(mask.detach().to(Device{}).to(DType::f32), 0.7f);
  if (box.width <= 1 || box.height <= 1) {
    fail(Errc::invalid_argument, "mask", "the object mask is empty or only a line: there is no object of mask >= 0.7 to place the prior by");
  }
  const double left = static_cast<double>(box.left), top = static_cast<double>(box.top);
  return {left, left + static_cast<double>(box.width - 1), top, top + static_cast<double>(box.height - 1)};
}

void adapt_to_category(Box& box, const std::string& category, std::int64_t s) {
  const double height = box.max_y - box.min_y, width = box.max_x - box.min_x;
  if (category == "synface") {
    box.min_y -= height / 6;
  } else if (category == "face") {
    box.max_y = static_cast<double>(s - 1);
    box.max_x -= width / 12;
    box.min_x += width / 12;
  } else if (category == "car" || category == "church") {
    box.max_y += height / 6;
  }
}

}  // namespace

Tensor ellipsoid_depth(const Tensor& mask, const Config& c, DType dtype) {
  check(mask.rank() == 4 && mask.dim(0) == 1 && mask.dim(1) == mask.dim(2) && mask.dim(3) == 1, "ellipsoid_depth",
        "mask must be [1,S,S,1], is ", describe(mask));
  const std::int64_t s = mask.dim(1);
  Box box = box_of(mask);
  adapt_to_category(box, c.category, s);
  const double radius = (box.max_x - box.min_x) / 2, ratio = (box.max_y - box.min_y) / (box.max_x - box.min_x);
  const double cx = (box.max_x + box.min_x) / 2, cy = (box.max_y + box.min_y) / 2, r = c.sphere_radius;
  // Distance from the sphere's axis at which it has fallen from near to far.
  const double rim = std::sqrt(r * r - (r - (c.prior_far - c.prior_near)) * (r - (c.prior_far - c.prior_near)));
  std::vector<double> depth(static_cast<std::size_t>(s * s), c.prior_far);
  for (std::int64_t y = 0; y < s; ++y) {
    // Rows are stretched about the image's centre before they are compared with the box's centre row.
    const double i = (static_cast<double>(y) - s / 2.0) / ratio + s / 2.0;
    for (std::int64_t x = 0; x < s; ++x) {
      const double distance = std::sqrt((i - cy) * (i - cy) + (x - cx) * (x - cx));
      if (distance > radius) continue;
      const double d = distance / radius * rim;
      depth[static_cast<std::size_t>(y * s + x)] = r - std::sqrt(std::abs(r * r - d * d)) + c.prior_near;
    }
  }
  return Tensor::from(depth, {1, s, s, 1}).to(dtype);
}

Tensor prior_loss(const Renderer& renderer, const EDDeconv& netD, const Tensor& image, const Tensor& ellipsoid) {
  return mean(square(renderer.rescale_depth(netD(image)) - ellipsoid));
}

void fit_depth_prior(EDDeconv& netD, const Config& config, const std::vector<PriorSample>& samples, int iterations, std::uint64_t seed,
                     const std::function<void(int, double)>& progress) {
  check(!samples.empty(), "fit_depth_prior", "needs at least one picture");
  const Renderer renderer(config.renderer());
  netD.parameters().set_trainable(true);
  Adam adam(netD.parameters().tensors(), adam_options(config));
  Random random(seed, "depth_prior");
  for (int i = 0; i < iterations; ++i) {
    const PriorSample& sample = samples[static_cast<std::size_t>(random.permutation(static_cast<std::int64_t>(samples.size())).front())];
    Tensor loss = prior_loss(renderer, netD, sample.image, sample.ellipsoid);
    adam.step(grad({loss}, adam.parameters()));
    progress(i + 1, loss.item());
  }
}

}  // namespace g2s
