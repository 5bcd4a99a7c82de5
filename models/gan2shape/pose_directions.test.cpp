#include "models/gan2shape/pose_directions.h"

#include <doctest/doctest.h>

#include <cmath>

#include "kernels/elementwise/elementwise.h"
#include "kernels/matmul/matmul.h"
#include "kernels/shape/shape.h"
#include "tests/cli/program.h"
#include "tests/support/check.h"
#include "tests/support/random_directions.h"

using namespace g2s;
using namespace g2s::test;

namespace {

constexpr std::int64_t dim = 24;

// As a network of landmarks would measure the picture of w.
Tensor pose_of_latent(const PoseDirections& d, const Tensor& w) { return d.offset + matmul(w - d.centre, d.predictor, false, true); }

// A depth with a bump beside its middle.
Tensor bump(const RendererConfig& c) {
  std::vector<double> depth;
  for (std::int64_t i = 0; i < c.size * c.size; ++i) {
    const double side = static_cast<double>(c.size), x = static_cast<double>(i % c.size) / side - 0.5, y = static_cast<double>(i / c.size) / side - 0.4;
    depth.push_back(1.03 - 0.1 * std::exp(-8 * (x * x + y * y)));
  }
  return Tensor::from(depth, {1, c.size, c.size, 1});
}

// Where a view shows the middle of the eyes' pixels: x and y in pixels.
std::pair<double, double> between_the_eyes(const Renderer& renderer, const Tensor& depth, const Tensor& view) {
  const Tensor grid = renderer.forward_grid(depth, renderer.pose(renderer.view_from_units(view)));
  const std::int64_t s = renderer.config().size;
  double x = 0, y = 0, n = 0;
  for (std::int64_t i = 0; i < s * s; ++i) {
    const double side = static_cast<double>(s), dx = std::abs((static_cast<double>(i % s) + 0.5) / side - 0.5) - 0.12, dy = (static_cast<double>(i / s) + 0.5) / side - 0.474;
    if (std::hypot(dx, dy) > 0.04) continue;
    x += grid.data<double>()[2 * i], y += grid.data<double>()[2 * i + 1], n += 1;
  }
  const double half = static_cast<double>(s) / 2;
  return {half * x / n, half * y / n};
}

}  // namespace

TEST_CASE("pose directions: a latent that is turned shows what was asked for") {
  const PoseDirections d = random_directions(dim, DType::f64);
  const RendererConfig c = preset("ffhq").renderer();
  const Tensor w = Random(1, "w").normal({1, dim}, 0, 1, DType::f64), from = rotations_from_pose(pose_of_latent(d, w), d, c);
  const Tensor to = Tensor::from<double>({0.3, -0.2, 0, 0, -0.1, 0.4}, {3, 2});
  const Tensor offset = turned_offset(d, from, to, {}, c);
  CHECK(offset.shape() == Shape{3, dim});
  CHECK(rel_error(rotations_from_pose(pose_of_latent(d, w + offset), d, c), to) < 1e-12);
  CHECK(norm(turned_offset(d, from, from, {}, c)) == 0);
}

TEST_CASE("pose directions: a picture that turns by half of what it is asked for is asked for twice as much") {
  const PoseDirections d = random_directions(dim, DType::f64);
  const RendererConfig c = preset("ffhq").renderer();
  const Tensor from = Tensor::from<double>({0.1, -0.1}, {1, 2}), to = Tensor::from<double>({0.3, -0.2}, {1, 2});
  const Tensor twice = Tensor::from<double>({2, 0, 0, 2}, {2, 2});
  CHECK(rel_error(turned_offset(d, from, to, twice, c), turned_offset(d, from, to, {}, c) * 2.0) < 1e-12);
}

TEST_CASE("pose directions: the mean picture looks straight ahead, yaw turns about y and pitch about x") {
  const PoseDirections d = random_directions(dim, DType::f64);
  const RendererConfig c = preset("ffhq").renderer();
  CHECK(norm(rotations_from_pose(d.offset, d, c)) == 0);
  const double unit = c.xyz_rotation_range;
  const Tensor yaw = rotations_from_pose(d.offset + Tensor::from<double>({unit, 0}, {1, 2}), d, c);
  CHECK(rel_error(yaw, Tensor::from<double>({0, -1}, {1, 2})) < 1e-12);
  const Tensor pitch = rotations_from_pose(d.offset + Tensor::from<double>({0, unit}, {1, 2}), d, c);
  CHECK(rel_error(pitch, Tensor::from<double>({1, 0}, {1, 2})) < 1e-12);
}

TEST_CASE("pose directions: what changes the pose is taken from an offset, and nothing else") {
  const PoseDirections d = random_directions(dim, DType::f64);
  const Tensor offset = Random(2, "offset").normal({4, dim}, 0, 1, DType::f64), rest = without_turn(d, offset);
  CHECK(norm(matmul(offset, d.predictor, false, true)) > 1);
  CHECK(norm(matmul(rest, d.predictor, false, true)) < 1e-12 * norm(offset));
  CHECK(rel_error(without_turn(d, rest), rest) < 1e-12);
  const Tensor turn = matmul(Random(3, "turn").normal({4, 2}, 0, 1, DType::f64), d.direction);
  CHECK(rel_error(without_turn(d, rest + turn), rest) < 1e-12);
}

TEST_CASE("pose directions: a turned head keeps the point between its eyes where it is") {
  const Renderer renderer(preset("ffhq").renderer());
  const RendererConfig& c = renderer.config();
  const Tensor depth = bump(c), ahead = Tensor::zeros({1, 6}, DType::f64);
  CHECK(norm(aligned_views(renderer, depth, slice(ahead, 1, 0, 2))) < 1e-12);
  const auto [x0, y0] = between_the_eyes(renderer, depth, ahead);
  CHECK(std::hypot(x0, y0 + 0.026 * static_cast<double>(c.size)) < 1);
  for (const auto& [about_x, about_y] : {std::pair{0.0, 0.5}, {0.0, -0.5}, {0.3, 0.0}, {-0.2, 0.3}}) {
    const Tensor rotations = Tensor::from<double>({about_x, about_y}, {1, 2}), view = aligned_views(renderer, depth, rotations);
    INFO(about_x, " ", about_y);
    REQUIRE(view.shape() == Shape{1, 6});
    CHECK(same_bits(slice(view, 1, 0, 2), rotations));
    CHECK(view.data<double>()[2] == 0);
    CHECK(view.data<double>()[5] == 0);
    const auto [x, y] = between_the_eyes(renderer, depth, view);
    CHECK(std::hypot(x - x0, y - y0) < 0.2);  // the camera shows the nearer eye larger
    const auto [free_x, free_y] = between_the_eyes(renderer, depth, concat({rotations, Tensor::zeros({1, 4}, DType::f64)}, 1));
    CHECK(std::hypot(free_x - x0, free_y - y0) > 3);
  }
}

TEST_CASE("pose directions: a file of them, which says what it lacks") {
  const TemporaryFolder folder;
  const std::string path = folder / "pose_directions.safetensors";
  const PoseDirections d = random_directions(dim, DType::f32);
  const NamedTensors stored = {{"centre", d.centre}, {"predictor", d.predictor}, {"direction", d.direction}, {"offset", d.offset}};
  write_safetensors(path, stored);
  const PoseDirections loaded = PoseDirections::load(SafetensorsFile(path));
  CHECK(same_bits(loaded.centre, d.centre));
  CHECK(same_bits(loaded.predictor, d.predictor));
  CHECK(same_bits(loaded.direction, d.direction));
  CHECK(same_bits(loaded.offset, d.offset));
  for (const auto& [name, tensor] : stored) {
    INFO(name);
    NamedTensors fewer, other;
    for (const auto& [kept, value] : stored) {
      if (kept != name) fewer.emplace_back(kept, value);
      other.emplace_back(kept, kept == name ? Tensor::zeros({3, 5}) : value);
    }
    write_safetensors(path, fewer);
    try {
      PoseDirections::load(SafetensorsFile(path));
      FAIL("read without it");
    } catch (const Error& e) {
      CHECK(std::string(e.what()).find(path) != std::string::npos);
      CHECK(std::string(e.what()).find(name) != std::string::npos);
    }
    write_safetensors(path, other);
    const std::string wrong = path + ": tensor " + name + " has shape [3,5], expected";
    CHECK_THROWS_WITH_AS(PoseDirections::load(SafetensorsFile(path)), doctest::Contains(wrong.c_str()), Error);
  }
}
