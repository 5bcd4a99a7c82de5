#include "models/gan2shape/tracked_prior.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "engine/autograd.h"
#include "engine/context.h"
#include "engine/image.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/shape/shape.h"
#include "models/gan2shape/face_input.h"
#include "models/gan2shape/face_tracks.h"
#include "models/gan2shape/linear_solve.h"

namespace g2s {
namespace {

// What the projected face is asked to turn by, degrees about y and x.
constexpr std::pair<double, double> turns[] = {{-30, 0}, {-20, 0}, {-10, 0}, {10, 0}, {20, 0}, {30, 0},
                                               {0, -12}, {0, -6}, {0, 6}, {0, 12}, {-15, -8}, {15, 8}};
constexpr double farthest_yaw = 36, farthest_pitch = 22;  // degrees from straight ahead: beyond, the generator draws few such faces
constexpr std::size_t least_pictures = 5;
// How the surface gives way, in units of the picture's half side: to a point that is followed exactly, and by the square of what one is missed by.
// Points of the outline are missed most: other parts of the skin are the outline of a turned head.
constexpr double least_give = 1e-3, give_of_miss = 30;
constexpr double far_radius = 1.6;  // where the surface is to be far away, from the picture's middle
constexpr int far_knots = 24;
// Landmarks to the left and to the right of a face's middle, as they are seen in a picture; forehead and chin.
constexpr std::pair<int, int> pairs[] = {{33, 263}, {133, 362}, {61, 291}, {234, 454}, {127, 356}, {172, 397},
                                         {70, 300}, {105, 334}, {50, 280}, {205, 425}, {98, 327}, {136, 365}};
constexpr int forehead = 10, chin = 152;
// How firmly pictures are believed to turn by what they are asked for, in degrees: a picture's worth of turn by so much outweighs it.
constexpr double doubt = 5;
constexpr int eyes[] = {33, 133, 159, 145, 362, 263, 386, 374};

// About x and y, in degrees.
using Turn = std::array<double, 2>;

Turn degrees_of(const Tensor& rotations, const RendererConfig& c) {
  const std::vector<float> units = rotations.to(Device{}).to_vector<float>();
  return {static_cast<double>(units[0]) * c.xyz_rotation_range, static_cast<double>(units[1]) * c.xyz_rotation_range};
}

Tensor units_of(const Turn& degrees, const RendererConfig& c) {
  return Tensor::from(std::vector<float>{static_cast<float>(degrees[0] / c.xyz_rotation_range), static_cast<float>(degrees[1] / c.xyz_rotation_range)}, {1, 2});
}

Matrix3 rotation_of(const Renderer& renderer, const Tensor& rotations) {
  const Tensor view = concat({rotations, Tensor::zeros({1, 4}, rotations.dtype())}, 1);
  const std::vector<float> values = renderer.pose(renderer.view_from_units(view)).rotation.to(Device{}).to_vector<float>();
  Matrix3 out{};
  for (std::size_t i = 0; i < 9; ++i) out[i / 3][i % 3] = static_cast<double>(values[i]);
  return out;
}

// Of Rz Ry Rx.
Turn turn_of(const Matrix3& r) {
  const double degree = std::numbers::pi / 180;
  return {std::atan2(r[2][1], r[2][2]) / degree, std::asin(std::clamp(-r[2][0], -1.0, 1.0)) / degree};
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
  std::vector<std::vector<TrackPoint>> places;  // the photograph's first, if its landmarks are known; then those of the projected face itself
  std::vector<Matrix3> rotations;               // that were asked for
  std::vector<Turn> asked;                      // the same, beyond the projected face's
  std::size_t tried = 0, drawn = 0;             // drawn: the first picture of the generator
};

// One more picture, if it shows a face.
void add_picture(const Method& m, const Target& target, const Tensor& to, Tracks& out) {
  ++out.tried;
  const RendererConfig& rc = m.renderer.config();
  Tensor offset = turned_offset(*m.directions, target.rotations, to, {}, rc);
  if (target.latent.rank() == 3) offset = offset.reshape({1, 1, offset.dim(1)});
  const Tensor image = generate(m, target, target.latent + offset).to(Device{});
  const Matrix3 rotation = rotation_of(m.renderer, to);
  const Turn own = degrees_of(target.rotations, rc), all = degrees_of(to, rc);
  const DefaultDevice host{Device{}};
  const std::vector<Face> faces = (*m.faces)(image_to_pixels(image));
  if (faces.empty()) return;
  out.places.push_back(places_of(faces.front(), m.config, target, image.dim(1)));
  out.rotations.push_back(rotation);
  out.asked.push_back({all[0] - own[0], all[1] - own[1]});
}

void add_photograph(const Method& m, const Target& target, Tracks& out) {
  std::vector<TrackPoint> places;
  const float* p = target.landmarks.data<float>();
  for (std::int64_t i = 0; i < target.landmarks.dim(0); ++i) places.push_back({static_cast<double>(p[2 * i]), static_cast<double>(p[2 * i + 1]), 0});
  out.places.push_back(std::move(places));
  out.rotations.push_back(rotation_of(m.renderer, target.rotations));
  out.asked.push_back({0, 0});
  out.drawn = 1;
}

Tracks follow(const Method& m, const Target& target) {
  const RendererConfig& rc = m.renderer.config();
  const Turn own = degrees_of(target.rotations, rc);
  Tracks out;
  if (target.landmarks) add_photograph(m, target, out);
  add_picture(m, target, target.rotations, out);
  if (out.places.size() == out.drawn) return out;
  for (const auto& [yaw, pitch] : turns) {
    const Turn to = {own[0] + pitch, own[1] + yaw};
    if (std::abs(to[0]) <= std::max(farthest_pitch, std::abs(own[0])) && std::abs(to[1]) <= std::max(farthest_yaw, std::abs(own[1]))) add_picture(m, target, units_of(to, rc), out);
  }
  return out;
}

TrackPoint difference(const TrackPoint& a, const TrackPoint& b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
double dot(const TrackPoint& a, const TrackPoint& b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
TrackPoint scaled(double f, const TrackPoint& a) { return {f * a.x, f * a.y, f * a.z}; }
TrackPoint unit(const TrackPoint& a) { return scaled(1 / std::sqrt(dot(a, a)), a); }

// Turns a face so that it looks ahead: left and right are symmetric, and the line from forehead to chin leans by `level` degrees.
void look_ahead(TrackedShape& shape, double level) {
  auto at = [&](int i) { return shape.points[static_cast<std::size_t>(i)]; };
  TrackPoint across;
  for (const auto& [left, right] : pairs) across = difference(across, difference(at(left), at(right)));
  const TrackPoint x = unit(across), line = difference(at(chin), at(forehead)), down = unit(difference(line, scaled(dot(line, x), x)));
  const TrackPoint away = {x.y * down.z - x.z * down.y, x.z * down.x - x.x * down.z, x.x * down.y - x.y * down.x};
  const double c = std::cos(level * std::numbers::pi / 180), s = std::sin(level * std::numbers::pi / 180);
  const TrackPoint y = difference(scaled(c, down), scaled(s, away)), z = difference(scaled(s, down), scaled(-c, away));
  turn_shape(shape, {{{x.x, x.y, x.z}, {y.x, y.y, y.z}, {z.x, z.y, z.z}}});
}

// Moves the points to where a picture shows them; how far away they are for it stays.
void snap(TrackedShape& shape, const std::vector<TrackPoint>& places, const TrackCamera& camera) {
  const Matrix3& r = camera.rotation;
  for (std::size_t i = 0; i < shape.points.size(); ++i) {
    TrackPoint& p = shape.points[i];
    const double seen[3] = {(places[i].x - camera.x) / camera.scale, (places[i].y - camera.y) / camera.scale, r[2][0] * p.x + r[2][1] * p.y + r[2][2] * p.z};
    auto back = [&](std::size_t column) { return r[0][column] * seen[0] + r[1][column] * seen[1] + r[2][column] * seen[2]; };
    p = {back(0), back(1), back(2)};
  }
}

// The matrix that makes of turns those to ask for: the inverse of how asked ones came out, by least squares.
Tensor turn_to_ask_for(const Tracks& tracks, const TrackedShape& shape) {
  const Turn own = turn_of(shape.cameras[tracks.drawn].rotation);
  std::vector<double> aa = {doubt * doubt, 0, 0, doubt * doubt}, ab = aa;
  for (std::size_t k = tracks.drawn + 1; k < tracks.asked.size(); ++k) {
    const Turn all = turn_of(shape.cameras[k].rotation);
    for (std::size_t i = 0; i < 2; ++i)
      for (std::size_t j = 0; j < 2; ++j) {
        aa[2 * i + j] += tracks.asked[k][i] * tracks.asked[k][j];
        ab[2 * i + j] += tracks.asked[k][i] * (all[j] - own[j]);
      }
  }
  // turned = asked (aa^-1 ab), so asked = turned (ab^-1 aa).
  const bool forwards = ab[0] * ab[3] > ab[1] * ab[2];
  if (!forwards || !solve_linear(ab, aa, 2)) fail(Errc::invalid_argument, "prior", "the generator does not turn the projected face where it is asked to");
  return Tensor::from(aa, {2, 2}).to(DType::f32);
}

// Where the points lie in the canonical picture, with their depth.
std::vector<TrackPoint> canonical_points(const Tracks& tracks, const TrackedShape& shape, const Config& c) {
  const double half = std::tan(c.fov / 2 * std::numbers::pi / 180);  // of the picture, at depth 1
  // As large as in the first picture, with the eyes where they are there: a view turns, but does not make larger.
  const double scale = shape.cameras[0].scale;
  TrackPoint middle, seen;
  for (int i : eyes) {
    const TrackPoint& p = tracks.places[0][static_cast<std::size_t>(i)];
    seen = {seen.x + p.x / 8, seen.y + p.y / 8, 0};
  }
  for (int i : eyes) {
    const TrackPoint& p = shape.points[static_cast<std::size_t>(i)];
    middle = {middle.x + p.x / 8, middle.y + p.y / 8, 0};
  }
  double nearest = 1e9;
  for (const TrackPoint& p : shape.points) nearest = std::min(nearest, p.z);
  std::vector<TrackPoint> out;
  for (const TrackPoint& p : shape.points) {
    const double depth = c.prior_near + (p.z - nearest) * scale * half * c.prior_near;
    out.push_back({(p.x - middle.x) * scale + seen.x, (p.y - middle.y) * scale + seen.y, depth});
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

Tensor hull_of(const std::vector<TrackPoint>& points, const Config& c, double growth) {
  std::vector<Point> in_picture;
  for (const TrackPoint& p : points) in_picture.push_back({(p.x + 1) / 2, (p.y + 1) / 2});
  const std::int64_t s = c.size;
  return hull_mask(std::move(in_picture), s, growth).reshape({1, s, s, 1});
}

}  // namespace

TrackedFace tracked_face(const Method& m, const Target& target) {
  NoGrad no_grad;
  const Tracks tracks = follow(m, target);
  if (const std::size_t found = tracks.places.size() - tracks.drawn; found < least_pictures) {
    fail(Errc::invalid_argument, "prior", "a face was found in ", found, " of ", tracks.tried, " pictures of the projected face, which are too few");
  }
  TrackedShape shape = structure_from_motion(tracks.places, tracks.rotations);
  const double level = static_cast<double>(m.directions->offset.to(Device{}).to(DType::f32).data<float>()[1]);
  look_ahead(shape, level);
  if (tracks.drawn > 0) snap(shape, tracks.places[0], shape.cameras[0]);
  const Device device = m.device();
  const DefaultDevice host{Device{}};
  const std::vector<TrackPoint> points = canonical_points(tracks, shape, m.config);
  TrackedFace out;
  out.depth = surface(points, shape.residuals, m.config).to(device);
  out.mask = hull_of(points, m.config, 1).to(device);
  out.wide_mask = hull_of(points, m.config, m.config.mask_growth).to(device);
  out.rotations = units_of(turn_of(shape.cameras[0].rotation), m.renderer.config()).to(device);
  out.drawn_rotations = units_of(turn_of(shape.cameras[tracks.drawn].rotation), m.renderer.config()).to(device);
  out.turn = turn_to_ask_for(tracks, shape).to(device);
  return out;
}

}  // namespace g2s
