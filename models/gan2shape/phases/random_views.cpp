#include "models/gan2shape/phases/random_views.h"

#include "kernels/shape/shape.h"

namespace g2s {

RandomViews::RandomViews(const Config& c) : views(Tensor::empty({c.batch, 6})), lights(Tensor::empty({c.batch, 3})) {}

void RandomViews::draw(const Config& c, Random& random) {
  const DefaultDevice host{Device{}};
  const std::int64_t b = c.batch;
  const RandomLight& r = c.rand_light;
  const Tensor dx = random.uniform({b, 1}, r.x0, r.x1), dy = random.uniform({b, 1}, r.y0, r.y1), a = random.uniform({b, 1}, r.a0, r.a1);
  const MultivariateNormal& prior = c.prior.view;
  const auto factor = prior.factor();
  const Tensor z = random.normal({b, 6}, 0, 1, DType::f64);
  std::vector<float> drawn(static_cast<std::size_t>(b * 6));
  for (std::size_t i = 0; i < static_cast<std::size_t>(b); ++i) {
    for (std::size_t row = 0; row < 6; ++row) {
      double v = prior.mean[row];
      for (std::size_t k = 0; k <= row; ++k) v += factor[row * 6 + k] * z.data<double>()[i * 6 + k];
      drawn[i * 6 + row] = static_cast<float>(v);
    }
  }
  copy_into(views, Tensor::from(drawn, {b, 6}));
  copy_into(lights, concat({dx, dy, a}, 1));
}

}  // namespace g2s
