#include "models/generator.h"

#include <cmath>

#include "engine/autograd.h"
#include "kernels/bias_act/bias_act.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/matmul/matmul.h"
#include "kernels/reduce/reduce.h"
#include "kernels/shape/shape.h"
#include "models/mobilestylegan.h"
#include "models/stylegan2_generator.h"

namespace g2s {
namespace {

Tensor pixel_norm(const Tensor& x) { return x * rsqrt(mean(square(x), {1}, true) + 1e-8); }

}  // namespace

Tensor Generator::mapping_range(const Tensor& x, int first, int last) const {
  check(x.rank() == 2 && x.dim(1) == style_dim(), name(), "the mapping takes [B,", style_dim(), "], got ", describe(x));
  if (first < 0 || last > mapping_modules() || first > last)
    fail(Errc::invalid_argument, name(), "mapping modules ", first, " to ", last, " of ", mapping_modules());
  Tensor h = x;
  for (int i = first; i < last; ++i) {
    if (i == 0) {
      h = pixel_norm(h);
      continue;
    }
    const auto [weight, bias] = mapping_layer(i);
    h = bias_act(matmul(h, weight, false, true), {.bias = bias, .gain = std::sqrt(2.0)});
  }
  return h;
}

Tensor Generator::mean_latent(const Tensor& z) const { return mean(mapping(z), {0}, true); }

Tensor Generator::mean_latent(Random& random, std::int64_t samples) const {
  NoGrad no_grad;
  return mean_latent(random.normal({samples, style_dim()}));
}

Tensor Generator::truncate(const Tensor& w, const Tensor& mean, double psi) { return mean.reshape({mean.dim(-1)}) * (1 - psi) + w * psi; }

Tensor Generator::synthesis(const Tensor& w) const {
  const std::int64_t dim = style_dim(), count = latents();
  const bool one = w.rank() == 2;
  check((one && w.dim(1) == dim) || (w.rank() == 3 && w.dim(1) == count && w.dim(2) == dim), name(), "the synthesis takes [B,", dim, "] or [B,",
        count, ",", dim, "], got ", describe(w));
  std::vector<Tensor> parts(static_cast<std::size_t>(count), w);
  for (std::int64_t i = 0; i < count && !one; ++i) parts[static_cast<std::size_t>(i)] = slice(w, 1, i, i + 1).reshape({w.dim(0), dim});
  return draw(parts);
}

Generator::ImageGradient Generator::synthesis_vjp(const Tensor& w, const Tensor& dimage) const {
  const Tensor latent = w.detach().set_requires_grad(), image = synthesis(latent);
  return {image.detach(), grad({image}, {latent}, {dimage})[0]};
}

std::unique_ptr<Generator> load_generator(const SafetensorsFile& file, const std::string& prefix) {
  if (file.contains(prefix + "style.1.weight")) return std::make_unique<StyleGan2Generator>(StyleGan2Generator::load(file, prefix));
  if (file.contains(prefix + "mapping.0.weight")) return std::make_unique<MobileStyleGan>(MobileStyleGan::load(file, prefix));
  fail(Errc::format, file.path(), "has neither StyleGAN2's tensors (style.1.weight, ..) nor MobileStyleGAN's (mapping.0.weight, ..)");
}

}  // namespace g2s
