#include "models/drawing.h"

#include <algorithm>

#include "engine/autograd.h"
#include "engine/context.h"
#include "engine/progress.h"
#include "kernels/random/random.h"
#include "kernels/shape/shape.h"

namespace g2s {

namespace {
constexpr std::int64_t batch = 8;  // images at a time
Device own_device() { return Context::current().options().device; }
}

Tensor random_latents(const Generator& generator, std::int64_t count, std::uint64_t seed) {
  NoGrad no_grad;
  const DefaultDevice guard(own_device());
  Random random(seed, "generate");
  return generator.mapping(random.normal({count, generator.style_dim()})).to(Device{});
}

Tensor truncated_latents(const Generator& generator, const Tensor& latents, double psi, std::uint64_t seed) {
  NoGrad no_grad;
  if (psi >= 1) return latents;
  const DefaultDevice guard(own_device());
  Random random(seed, "mean_latent");
  const Tensor mean = generator.latent_avg() ? generator.latent_avg() : generator.mean_latent(random);
  return Generator::truncate(latents.to(own_device()), mean, psi).to(Device{});
}

void draw_images(const Generator& generator, const Tensor& latents, const std::function<void(std::int64_t, const Tensor&)>& take) {
  NoGrad no_grad;
  auto draw = [&](const Tensor& part) {
    const DefaultDevice guard(own_device());
    return generator.synthesis(part.to(own_device())).to(Device{});
  };
  const std::int64_t n = latents.dim(0);
  for (std::int64_t begin = 0; begin < n; begin += batch) {
    check_cancelled("generate");
    const std::int64_t end = std::min(begin + batch, n);
    take(begin, draw(slice(latents, 0, begin, end)));
    Context::current().report({.stage = "generate", .step = end, .steps = n});
  }
}

}  // namespace g2s
