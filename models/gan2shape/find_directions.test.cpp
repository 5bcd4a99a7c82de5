#include "models/gan2shape/find_directions.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "kernels/reduce/reduce.h"
#include "kernels/shape/shape.h"
#include "tests/support/check.h"
#include "tests/support/turned_portrait.h"

using namespace g2s;
using namespace g2s::test;

namespace {

constexpr std::int64_t dim = 16;

// A portrait whose latents turn it by about 10 degrees of yaw and 6 of pitch.
struct TurningWorld {
  PoseDirections truth = random_directions(dim, DType::f32);
  TurnedPortrait generator{truth, small_config().renderer()};
  FaceFinder faces = face_finder();

  TurningWorld() {
    const Tensor w = generator.mapping(Random(3, "latents").normal({2000, dim}));
    truth.centre = mean(w, {0}, true);
    const Tensor turned = matmul(w - truth.centre, truth.predictor, false, true);
    const double wanted[] = {10, 6};
    std::vector<Tensor> rows;
    for (std::int64_t i = 0; i < 2; ++i) {
      const double spread = std::sqrt(mean(square(slice(turned, 1, i, i + 1))).item());
      rows.push_back(slice(truth.predictor, 0, i, i + 1) * (wanted[i] / spread));
    }
    truth.predictor = concat(rows, 0);
  }
  std::array<double, 2> pose(const Tensor& w) const {
    const std::vector<Face> found = faces(image_to_pixels(generator.synthesis(w)));
    REQUIRE(found.size() == 1);
    return {found[0].pose.yaw, found[0].pose.pitch};
  }
};

// A generator without faces.
class Grey : public TurnedPortrait {
 public:
  using TurnedPortrait::TurnedPortrait;

 private:
  Tensor draw(const std::vector<Tensor>& latents) const override { return Tensor::zeros({latents[0].dim(0), 64, 64, 3}); }
};

double inner(const Tensor& a, const Tensor& b) { return sum(a * b).item(); }

}  // namespace

TEST_CASE("find directions: latents whose pose is known give the predictor, and steps that change one angle by a degree") {
  const PoseDirections d = random_directions(dim, DType::f64);
  Random random(4, "latents");
  const Tensor w = random.normal({400, dim}, 0, 1, DType::f64), noise = random.normal({400, 2}, 0, 0.1, DType::f64);
  const FoundDirections found = fit_directions(w, d.offset + matmul(w - d.centre, d.predictor, false, true) + noise);
  CHECK(found.used == 400);
  CHECK(rel_error(found.directions.predictor.to(DType::f64), d.predictor) < 0.01);
  CHECK(rel_error(found.directions.centre.to(DType::f64), mean(w, {0}, true)) < 1e-6);
  const Tensor identity = Tensor::from<double>({1, 0, 0, 1}, {2, 2});
  CHECK(rel_error(matmul(found.directions.predictor, found.directions.direction, false, true).to(DType::f64), identity) < 1e-5);
  for (std::int64_t i = 0; i < 2; ++i) {
    CHECK(found.held_out[i] > 0.99);
    CHECK(found.spread[i] ==
          doctest::Approx(std::sqrt(inner(slice(d.predictor, 0, i, i + 1), slice(d.predictor, 0, i, i + 1)))).epsilon(0.15));
  }
}

TEST_CASE("find directions: a pose that the latents do not show is not found in them") {
  Random random(5, "latents");
  const Tensor w = random.normal({400, dim}, 0, 1, DType::f64);
  const FoundDirections found = fit_directions(w, random.normal({400, 2}, 0, 10, DType::f64));
  for (double correlation : found.held_out) CHECK(std::abs(correlation) < 0.4);
}

TEST_CASE("find directions: fewer than 100 poses are too few") {
  const Tensor w = Random(6, "latents").normal({99, dim}, 0, 1, DType::f64);
  CHECK_THROWS_WITH_AS(fit_directions(w, slice(w, 1, 0, 2)), "prior: 99 poses are too few, 100 are needed", Error);
}

TEST_CASE("find directions: a portrait that turns as its latents say, from its landmarks") {
  const TurningWorld world;
  const FoundDirections found = find_directions(world.generator, world.faces, {.pictures = 150, .seed = 1});
  CHECK(found.used + found.without_face + found.unfit == 150);
  CHECK(found.used > 140);
  const PoseDirections& d = found.directions;
  for (std::int64_t i = 0; i < 2; ++i) {
    INFO("angle ", i);
    CHECK(found.held_out[i] > 0.9);
    const Tensor got = slice(d.predictor, 0, i, i + 1), want = slice(world.truth.predictor, 0, i, i + 1);
    CHECK(inner(got, want) / std::sqrt(inner(got, got) * inner(want, want)) > 0.95);
  }
  // There and back: what the landmarks of a turned head show of its other angle, the same for both sides, is no matter of directions.
  for (const auto& [yaw, pitch] : {std::pair{10.0, 0.0}, {0.0, 6.0}}) {
    INFO(yaw, " ", pitch);
    const Tensor step = matmul(Tensor::from(std::vector<float>{static_cast<float>(yaw), static_cast<float>(pitch)}, {1, 2}), d.direction);
    const std::array<double, 2> there = world.pose(d.centre + step), back = world.pose(d.centre - step);
    CHECK(std::abs((there[0] - back[0]) / 2 - yaw) < 1.5);
    CHECK(std::abs((there[1] - back[1]) / 2 - pitch) < 1.5);
  }
}

TEST_CASE("find directions: a generator without faces has none") {
  const PoseDirections any = random_directions(dim, DType::f32);
  const Grey generator(any, small_config().renderer());
  const std::string said =
      "prior: of 3 pictures of the generator 0 show a face that can be worked with, 100 are needed: 3 show none, 0 an unfit one";
  CHECK_THROWS_WITH_AS(find_directions(generator, face_finder(), {.pictures = 3}), said.c_str(), Error);
}
