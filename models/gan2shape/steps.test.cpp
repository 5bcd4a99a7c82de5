// The steps where directions turn the heads and LPIPS takes the discriminator's place.
#include "models/gan2shape/steps.h"

#include <doctest/doctest.h>

#include <cmath>

#include "engine/autograd.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/matmul/matmul.h"
#include "kernels/reduce/reduce.h"
#include "kernels/shape/shape.h"
#include "tests/support/check.h"
#include "tests/support/face_world.h"

using namespace g2s;
using namespace g2s::test;

namespace {

void check_gradients(const std::vector<Tensor>& gradients, const std::vector<Tensor>& parameters) {
  REQUIRE(gradients.size() == parameters.size());
  double all = 0;
  for (const Tensor& g : gradients) {
    REQUIRE(g.defined());
    CHECK(std::isfinite(norm(g)));
    all += norm(g);
  }
  CHECK(all > 0);
}

Config config_of_three() {
  Config c = small_config();
  c.batch = 3;
  return c;
}

double mean_square(const Tensor& x) { return mean(square(x)).item(); }

}  // namespace

TEST_CASE("step 2 with directions: LPIPS takes the discriminator's place, netEnc's offsets do not turn") {
  const FaceWorld w(small_config());
  const Step2 step(w.method, w.target, w.snapshot());
  const Step2::Result r = step.forward(w.small.views(), w.small.lights());
  const Tensor mask = r.pseudo.mask;
  const double lpips = mean(w.small.lpips.distance(r.projection.image * mask, r.pseudo.image * mask)).item();
  CHECK(lpips > 1e-3);
  CHECK(r.losses.disc.item() == doctest::Approx(w.small.config.lam_step2_perc * lpips).epsilon(1e-5));
  const double total = r.losses.l1.item() + r.losses.disc.item() + w.small.config.lam_regular * r.losses.latent_norm.item();
  CHECK(r.losses.total.item() == doctest::Approx(total).epsilon(1e-5));
  CHECK(!r.losses.view);
  CHECK(!r.losses.base);
  CHECK(norm(r.projection.offset) > 0);
  CHECK(norm(matmul(r.projection.offset, w.directions.predictor, false, true)) < 1e-4 * norm(r.projection.offset));
  check_gradients(step.update(w.small.views(), w.small.lights(), w.small.config.batch).gradients, step.parameters());
}

TEST_CASE("step 2 with directions: pictures are turned as the views ask, from the input's own pose") {
  const FaceWorld w(small_config());
  const Step2 step(w.method, w.target, w.snapshot());
  const Step2::Pseudo pseudo = step.render(w.small.views(), w.small.lights());
  CHECK(same_bits(pseudo.rotations, slice(w.small.views(), 1, 0, 2)));
  const Tensor own = broadcast_to(w.target.rotations, pseudo.rotations.shape());
  const Step2::Projection turned = step.project(pseudo.image, pseudo.rotations), still = step.project(pseudo.image, own);
  CHECK(same_bits(turned.offset, still.offset));
  CHECK(rel_error(turned.image, still.image) > 1e-2);
  const Tensor latent = w.target.latent + turned.offset + turned_offset(w.directions, w.target.rotations, pseudo.rotations, {}, w.method.renderer.config());
  CHECK(rel_error(turned.image, as_input(w.method, w.target, generate(w.method, w.target, latent))) < 1e-5);
}

// In f64 for the reason that memory_plan.test.cpp gives: kinks.
TEST_CASE("step 2 with directions in parts gives the losses and gradients of the whole batch") {
  const FaceWorld w(config_of_three(), DType::f64);
  const Step2 step(w.method, w.target, w.snapshot());
  const Update whole = step.update(w.small.views(), w.small.lights(), 3);
  for (std::int64_t part : {1, 2}) {
    const Update parted = step.update(w.small.views(), w.small.lights(), part);
    CHECK(rel_error(parted.gradients, whole.gradients) < 1e-9);
    check_losses(parted.losses, whole.losses, 1e-10);
  }
}

TEST_CASE("step 3 with directions: views and shape are held to what was given") {
  const FaceWorld w(small_config());
  const Config& c = w.small.config;
  const Step3 step(w.method, w.target, false);
  const Step3::Samples samples = w.samples();
  const Step3::Result r = step.forward(samples);
  CHECK(!r.input.view);
  CHECK(!r.input.base);
  REQUIRE(r.batch.view);
  REQUIRE(r.batch.base);
  CHECK(r.raw_view.shape() == Shape{c.batch + 1, 6});
  CHECK(r.batch.view.item() == doctest::Approx(mean_square(r.raw_view)).epsilon(1e-5));
  CHECK(r.batch.view.item() > 0);
  const Tensor given = w.method.renderer.canonical_depth(Tensor::zeros(w.target.base.shape()), w.target.base);
  const double range = (c.max_depth - c.min_depth) / 2;
  CHECK(r.batch.base.item() == doctest::Approx(mean_square(r.shapes[0].depth - given) / (range * range)).epsilon(1e-4));
  CHECK(r.batch.base.item() > 0);
  const Losses& b = r.batch;
  const double total = r.input.total.item() + b.l1.item() + c.lam_perc * b.lpips.item() + c.lam_view * b.view.item() + c.lam_base * b.base.item();
  CHECK(b.total.item() == doctest::Approx(total).epsilon(1e-5));
  const Tensor rotations = concat({w.target.rotations, samples.rotations}, 0);
  const Tensor asked = r.raw_view + aligned_views(w.method.renderer, r.shapes[0].depth, rotations);
  CHECK(rel_error(r.view, w.method.renderer.view_from_units(asked)) < 1e-6);
  check_gradients(step.update(samples, c.batch + 1).gradients, step.parameters());
}

TEST_CASE("step 3 with directions in parts gives the losses and gradients of the whole batch") {
  const FaceWorld w(config_of_three(), DType::f64);
  const Step3 step(w.method, w.target, true);
  const Step3::Samples samples = w.samples();
  const Step3::PartedUpdate whole = step.update(samples, 4);
  REQUIRE(whole.batch.view);
  REQUIRE(whole.batch.base);
  for (std::int64_t part : {1, 3}) {
    const Step3::PartedUpdate parted = step.update(samples, part);
    CHECK(rel_error(parted.gradients, whole.gradients) < 1e-9);
    check_losses(parted.batch, whole.batch, 1e-10);
    check_losses(parted.input, whole.input, 1e-10);
  }
}
