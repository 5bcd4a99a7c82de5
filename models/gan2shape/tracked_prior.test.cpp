#include "models/gan2shape/tracked_prior.h"

#include <doctest/doctest.h>

#include <cmath>

#include "engine/image.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/matmul/matmul.h"
#include "models/gan2shape/face_input.h"
#include "tests/support/check.h"
#include "tests/support/turned_portrait.h"

using namespace g2s;
using namespace g2s::test;

namespace {

// How two shapes go together from left to right within a circle, and by what the first grows with the second there.
struct Likeness {
  double correlation = 0, slope = 0;
};
// Each row about its own mean: from top to bottom the landmarks' network takes a head for as nodding as the photograph is.
Likeness compare(const Tensor& got, const Tensor& want, double radius) {
  const std::int64_t s = got.dim(1);
  double xx = 0, yy = 0, xy = 0;
  for (std::int64_t row = 0; row < s; ++row) {
    double n = 0, x = 0, y = 0, row_xx = 0, row_yy = 0, row_xy = 0;
    for (std::int64_t i = row * s; i < (row + 1) * s; ++i) {
      const double half = static_cast<double>(s) / 2;
      if (std::hypot(static_cast<double>(i % s) - half, static_cast<double>(row) - half) > radius * half) continue;
      const double a = static_cast<double>(want.data<float>()[i]), b = static_cast<double>(got.data<float>()[i]);
      n += 1, x += a, y += b, row_xx += a * a, row_yy += b * b, row_xy += a * b;
    }
    if (n < 2) continue;
    xx += row_xx - x * x / n, yy += row_yy - y * y / n, xy += row_xy - x * y / n;
  }
  return {xy / std::sqrt(xx * yy), xy / xx};
}

}  // namespace

TEST_CASE("tracked prior: the shape of a head that the generator turns is found from its landmarks") {
  const Portrait p;
  const Config& c = p.w.small.config;
  const Method method(c, p.w.small.networks, p.generator, nullptr, p.w.small.lpips, &p.w.directions, &p.faces);
  const Tensor depth = tracked_face(method, p.target).depth;
  REQUIRE(depth.shape() == Shape{1, c.size, c.size, 1});
  for (float d : depth.to_vector<float>()) {
    REQUIRE(static_cast<double>(d) >= c.min_depth);
    REQUIRE(static_cast<double>(d) <= c.max_depth);
  }
  const Likeness likeness = compare(depth, head(c.size), 0.6);
  INFO("correlation ", likeness.correlation, ", slope ", likeness.slope);
  CHECK(likeness.correlation > 0.9);
  CHECK(likeness.slope > 0.7);
  CHECK(likeness.slope < 1.4);
}

// A photograph that shows the head turned and a little lower than the projected one.
TEST_CASE("tracked prior: the shape lies where the photograph has its landmarks, turned as it is there") {
  Portrait p;
  const Config& c = p.w.small.config;
  const Method method(c, p.w.small.networks, p.generator, nullptr, p.w.small.lpips, &p.w.directions, &p.faces);
  const Tensor to = Tensor::from(std::vector<float>{0.02f, 0.2f}, {1, 2});
  const Tensor w = p.target.latent + turned_offset(p.w.directions, p.target.rotations, to, {}, c.renderer());
  const std::vector<Face> seen = p.faces(image_to_pixels(p.generator.synthesis(w)));
  REQUIRE(seen.size() == 1);
  const TrackedFace without = tracked_face(method, p.target);
  const Corners picture = {Point{0, 0}, Point{0, 256}, Point{256, 256}, Point{256, 0}};
  p.target.landmarks = landmark_places(seen[0], picture);
  const TrackedFace face = tracked_face(method, p.target);
  auto about_y = [](const Tensor& rotations) { return rotations.to_vector<float>()[1]; };
  CHECK(about_y(without.rotations) == about_y(without.drawn_rotations));
  CHECK(std::abs(about_y(face.drawn_rotations) - about_y(without.drawn_rotations)) < 0.01f);
  const float turned = about_y(face.rotations) - about_y(face.drawn_rotations);
  CHECK(turned > 0.08f);
  CHECK(turned < 0.25f);

  Portrait lower;
  std::vector<float> places = landmark_places(lower.faces(image_to_pixels(lower.generator.synthesis(lower.target.latent)))[0], picture).to_vector<float>();
  auto rows = [](const Tensor& mask) {
    double sum = 0, weight = 0;
    for (std::int64_t i = 0; i < mask.numel(); ++i) sum += static_cast<double>(mask.data<float>()[i]) * static_cast<double>(i / mask.dim(2)), weight += static_cast<double>(mask.data<float>()[i]);
    return sum / weight;
  };
  for (std::size_t i = 1; i < places.size(); i += 2) places[i] += 0.125f;
  lower.target.landmarks = Tensor::from(places, {468, 2});
  const Method again(c, p.w.small.networks, lower.generator, nullptr, p.w.small.lpips, &lower.w.directions, &lower.faces);
  CHECK(rows(tracked_face(again, lower.target).mask) - rows(without.mask) == doctest::Approx(static_cast<double>(c.size) / 16).epsilon(0.2));
  CHECK(face.mask.shape() == Shape{1, c.size, c.size, 1});
}

// Signs, and sizes roughly: the network sees a portrait on a smooth head turn by less than it does.
TEST_CASE("tracked prior: rotations read from a face's pose are those of the renderer") {
  const Portrait p;
  const RendererConfig rc = p.w.small.config.renderer();
  auto read = [&](double about_x, double about_y) {
    const Tensor to = Tensor::from(std::vector<float>{static_cast<float>(about_x), static_cast<float>(about_y)}, {1, 2});
    const Tensor w = p.target.latent + turned_offset(p.w.directions, p.target.rotations, to, {}, rc);
    const std::vector<Face> faces = p.faces(image_to_pixels(p.generator.synthesis(w)));
    REQUIRE(faces.size() == 1);
    return rotations_from_pose(pose_of(faces[0]), p.w.directions, rc).to_vector<float>();
  };
  const std::vector<float> ahead = read(0, 0);
  for (double turn : {-0.3, 0.3}) {
    INFO(turn);
    const double nod = turn / 2, sideways = static_cast<double>(read(0, turn)[1] - ahead[1]) / turn;
    const double down = static_cast<double>(read(nod, 0)[0] - ahead[0]) / nod;
    CHECK(sideways > 0.4);
    CHECK(sideways < 1.2);
    CHECK(down > 0.4);
    CHECK(down < 1.2);
  }
}

TEST_CASE("tracked prior: a generator that shows no face is an error that says so") {
  const FaceWorld w(small_config());
  const FaceFinder faces = face_finder();
  const Method method(w.small.config, w.small.networks, w.small.generator, nullptr, w.small.lpips, &w.directions, &faces);
  CHECK_THROWS_WITH_AS(tracked_face(method, w.target), "prior: a face was found in 0 of 1 pictures of the projected face, which are too few", Error);
}
