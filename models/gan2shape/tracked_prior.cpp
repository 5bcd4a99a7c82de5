#include "models/gan2shape/tracked_prior.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "engine/autograd.h"
#include "engine/context.h"
#include "engine/image.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/shape/shape.h"
#include "models/gan2shape/face_tracks.h"

namespace g2s {
namespace {

// Rotations that are asked for, degrees about y and x, from a face that looks straight ahead.
constexpr std::pair<double, double> turns[] = {{-30, 0}, {-20, 0}, {-10, 0}, {0, 0}, {10, 0}, {20, 0}, {30, 0},
                                               {0, -12}, {0, -6}, {0, 6}, {0, 12}, {-15, -8}, {15, 8}};
constexpr double farthest_turn = 38;        // degrees from the picture itself: beyond, the generator draws somebody else
constexpr std::size_t least_pictures = 5;
// How the surface gives way, in units of the picture's half side: to a point that is followed exactly, and by the square of what one is missed by.
// Points of the outline are missed most: other parts of the skin are the outline of a turned head.
constexpr double least_give = 3e-3, give_of_miss = 300;
constexpr double far_radius = 1.6;  // where the surface is to be far away, from the picture's middle
constexpr int far_knots = 24;
constexpr int eyes[] = {33, 133, 159, 145, 362, 263, 386, 374};

double degrees_of(const Tensor& rotations, std::int64_t i, const RendererConfig& c) {
  return static_cast<double>(rotations.to(Device{}).data<float>()[i]) * c.xyz_rotation_range;
}

Matrix3 rotation_of(const Renderer& renderer, const Tensor& rotations) {
  const Tensor view = concat({rotations, Tensor::zeros({1, 4}, rotations.dtype())}, 1);
  const std::vector<float> values = renderer.pose(renderer.view_from_units(view)).rotation.to(Device{}).to_vector<float>();
  Matrix3 out{};
  for (std::size_t i = 0; i < 9; ++i) out[i / 3][i % 3] = static_cast<double>(values[i]);
  return out;
}

// Landmarks in the method's picture, from -1 to 1 and y down, of a picture of the generator.
std::vector<TrackPoint> places_of(const Face& face, const Config& config, const Target& target, std::int64_t size) {
  const double used = config.crop > 0 ? static_cast<double>(config.crop) / target.original_size : 1;
  std::vector<TrackPoint> out;
  auto place = [&](double v) { return (2 * v / static_cast<double>(size) - 1) / used; };
  for (const FacePoint& p : face.points) out.push_back({place(p.x), place(p.y), 0});
  return out;
}

struct Tracks {
  std::vector<std::vector<TrackPoint>> places;
  std::vector<Matrix3> rotations;
};

Tracks follow(const Method& m, const Target& target) {
  const RendererConfig& rc = m.renderer.config();
  const double own_yaw = degrees_of(target.rotations, 1, rc), own_pitch = degrees_of(target.rotations, 0, rc);
  Tracks out;
  for (const auto& [yaw, pitch] : turns) {
    if (std::hypot(yaw - own_yaw, pitch - own_pitch) > farthest_turn) continue;
    const Tensor to = Tensor::from(std::vector<float>{static_cast<float>(pitch / rc.xyz_rotation_range), static_cast<float>(yaw / rc.xyz_rotation_range)}, {1, 2});
    Tensor offset = turned_offset(*m.directions, target.rotations, to, rc);
    if (target.latent.rank() == 3) offset = offset.reshape({1, 1, offset.dim(1)});
    const Tensor image = generate(m, target, target.latent + offset).to(Device{});
    const Matrix3 rotation = rotation_of(m.renderer, to);
    const DefaultDevice host{Device{}};
    const std::vector<Face> faces = (*m.faces)(image_to_pixels(image));
    if (faces.empty()) continue;
    out.places.push_back(places_of(faces.front(), m.config, target, image.dim(1)));
    out.rotations.push_back(rotation);
  }
  return out;
}

// Where the points lie in the canonical picture, with their depth.
std::vector<TrackPoint> canonical_points(const Tracks& tracks, const TrackedShape& shape, const Config& c) {
  const double half = std::tan(c.fov / 2 * std::numbers::pi / 180);  // of the picture, at depth 1
  // Upright and as large as in the picture that turns least; the eyes stay where the frame has them.
  double eye_x = 0, eye_y = 0, scale = 0, n = 0;
  for (const auto& places : tracks.places)
    for (int i : eyes) eye_x += places[static_cast<std::size_t>(i)].x, eye_y += places[static_cast<std::size_t>(i)].y, n += 1;
  double front = -2;
  for (const TrackCamera& camera : shape.cameras)
    if (camera.rotation[2][2] > front) front = camera.rotation[2][2], scale = camera.scale;
  TrackPoint middle;
  for (int i : eyes) {
    const TrackPoint& p = shape.points[static_cast<std::size_t>(i)];
    middle = {middle.x + p.x / 8, middle.y + p.y / 8, 0};
  }
  double nearest = 1e9;
  for (const TrackPoint& p : shape.points) nearest = std::min(nearest, p.z);
  std::vector<TrackPoint> out;
  for (const TrackPoint& p : shape.points) {
    const double depth = c.prior_near + (p.z - nearest) * scale * half * c.prior_near;
    out.push_back({(p.x - middle.x) * scale + eye_x / n, (p.y - middle.y) * scale + eye_y / n, depth});
  }
  return out;
}

Tensor surface(std::vector<TrackPoint> knots, const std::vector<double>& misses, const Config& c) {
  const std::int64_t s = c.size;
  std::vector<double> give;
  for (double miss : misses) give.push_back(least_give + give_of_miss * miss * miss);
  for (int i = 0; i < far_knots; ++i) {
    const double angle = 2 * std::numbers::pi * i / far_knots;
    knots.push_back({far_radius * std::cos(angle), far_radius * std::sin(angle), c.prior_far});
    give.push_back(least_give);
  }
  const ThinPlate plate(std::move(knots), give);
  std::vector<float> depth(static_cast<std::size_t>(s * s));
  auto place = [s](std::int64_t i) { return (2 * static_cast<double>(i) + 1) / static_cast<double>(s) - 1; };
  for (std::int64_t y = 0; y < s; ++y)
    for (std::int64_t x = 0; x < s; ++x) {
      const double d = plate(place(x), place(y));
      depth[static_cast<std::size_t>(y * s + x)] = static_cast<float>(std::clamp(d, c.min_depth + 0.005, c.max_depth - 0.005));
    }
  return Tensor::from(depth, {1, s, s, 1});
}

}  // namespace

Tensor tracked_depth(const Method& m, const Target& target) {
  NoGrad no_grad;
  const Tracks tracks = follow(m, target);
  if (tracks.places.size() < least_pictures) {
    fail(Errc::invalid_argument, "prior", "a face was found in ", tracks.places.size(), " of ", std::size(turns), " turned pictures of the projected face, which are too few");
  }
  const TrackedShape shape = structure_from_motion(tracks.places, tracks.rotations);
  const DefaultDevice host{Device{}};
  return surface(canonical_points(tracks, shape, m.config), shape.residuals, m.config).to(m.device());
}

}  // namespace g2s
