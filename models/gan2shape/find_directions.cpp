#include "models/gan2shape/find_directions.h"

#include <cmath>
#include <utility>
#include <vector>

#include "engine/autograd.h"
#include "engine/context.h"
#include "engine/image.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/matmul/matmul.h"
#include "kernels/random/random.h"
#include "kernels/reduce/reduce.h"
#include "kernels/shape/shape.h"
#include "models/drawing.h"
#include "models/gan2shape/linear_solve.h"

namespace g2s {
namespace {

constexpr double least_psi = 0.5, most_psi = 1;
constexpr std::int64_t held_out_step = 5;
// Of the ridge, in parts of the mean variance of a latent's numbers.
constexpr double ridges[] = {1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1};

// Latents and the poses that their pictures show.
struct Samples {
  Tensor w, pose;  // [N,D], [N,2]
  std::int64_t count() const { return w.dim(0); }
};

struct Fit {
  Tensor centre, offset, predictor, covariance;
};

// a x = b
Tensor solved(const Tensor& a, const Tensor& b) {
  std::vector<double> left = a.to_vector<double>(), right = b.to_vector<double>();
  if (!solve_linear(left, right, static_cast<std::size_t>(b.dim(1))))
    fail(Errc::invalid_argument, "prior", "the pictures do not determine how the generator turns heads");
  return Tensor::from(right, b.shape());
}

Tensor diagonal(double value, std::int64_t n) {
  std::vector<double> values(static_cast<std::size_t>(n * n), 0.0);
  for (std::int64_t i = 0; i < n; ++i) values[static_cast<std::size_t>(i * (n + 1))] = value;
  return Tensor::from(values, {n, n});
}

// Ridge regression of the pose on the latent.
Fit regress(const Samples& samples, double ridge) {
  Fit fit{mean(samples.w, {0}, true), mean(samples.pose, {0}, true), {}, {}};
  const Tensor w = samples.w - fit.centre, pose = samples.pose - fit.offset;
  const double each = 1 / static_cast<double>(samples.count());
  fit.covariance = matmul(w, w, true, false) * each;
  const double variance = mean(square(w)).item();
  const Tensor sought = solved(fit.covariance + diagonal(ridge * variance, w.dim(1)), matmul(w, pose, true, false) * each);
  fit.predictor = permute(sought, {1, 0});
  return fit;
}

Tensor predicted(const Fit& fit, const Tensor& w) { return fit.offset + matmul(w - fit.centre, fit.predictor, false, true); }

// Rows of a step of least length, measured by how latents vary, that changes one number of the pose by a degree and leaves the other:
// (R S R^T)^-1 R S.
Tensor direction_of(const Fit& fit) {
  const Tensor rs = matmul(fit.predictor, fit.covariance);
  return solved(matmul(rs, fit.predictor, false, true), rs);
}

double spread_of(const Tensor& x) { return std::sqrt(mean(square(x - mean(x))).item()); }

// 0 where one of them does not vary.
double correlation(const Tensor& a, const Tensor& b) {
  const double spread = spread_of(a) * spread_of(b);
  return spread > 0 ? mean((a - mean(a)) * (b - mean(b))).item() / spread : 0;
}

// Every fifth sample, and the others.
std::pair<Samples, Samples> split(const Samples& all) {
  std::vector<Tensor> w[2], pose[2];
  for (std::int64_t i = 0; i < all.count(); ++i) {
    const std::size_t to = i % held_out_step == 0 ? 0 : 1;
    w[to].push_back(slice(all.w, 0, i, i + 1));
    pose[to].push_back(slice(all.pose, 0, i, i + 1));
  }
  return {{concat(w[0], 0), concat(pose[0], 0)}, {concat(w[1], 0), concat(pose[1], 0)}};
}

// Latents of random pictures, each drawn towards the mean as far as chance says.
Tensor random_truncated(const Generator& generator, const FindDirectionsOptions& o) {
  const Tensor w = random_latents(generator, o.pictures, o.seed), centre = truncated_latents(generator, w, 0, o.seed);
  return centre + (w - centre) * Random(o.seed, "direction_psi").uniform({o.pictures, 1}, least_psi, most_psi);
}

// Takes pictures one after the other.
class Poses {
 public:
  explicit Poses(const FaceFinder& faces) : faces_(faces) {}

  void add(const Tensor& w, const Tensor& image) {
    const std::vector<Face> found = faces_(image_to_pixels(image));
    if (found.empty()) {
      without_face += 1;
    } else if (found.front().state == FaceState::unfit) {
      unfit += 1;
    } else {
      w_.push_back(w.to(DType::f64));
      pose_.push_back(Tensor::from<double>({found.front().pose.yaw, found.front().pose.pitch}, {1, 2}));
    }
  }
  std::int64_t used() const { return static_cast<std::int64_t>(w_.size()); }
  Samples samples() const { return {concat(w_, 0), concat(pose_, 0)}; }
  std::int64_t without_face = 0, unfit = 0;

 private:
  const FaceFinder& faces_;
  std::vector<Tensor> w_, pose_;
};

}  // namespace

FoundDirections fit_directions(const Tensor& w, const Tensor& pose) {
  NoGrad no_grad;
  const DefaultDevice host{Device{}};
  const Samples all{w, pose};
  if (all.count() < least_poses) fail(Errc::invalid_argument, "prior", all.count(), " poses are too few, ", least_poses, " are needed");
  const auto [held_out, others] = split(all);
  FoundDirections out;
  double best_ridge = 0, best = -2;
  for (double ridge : ridges) {
    const Tensor guess = predicted(regress(others, ridge), held_out.w);
    auto seen = [&, &kept = held_out](std::int64_t i) { return correlation(slice(guess, 1, i, i + 1), slice(kept.pose, 1, i, i + 1)); };
    const double yaw = seen(0), pitch = seen(1);
    if (yaw + pitch <= best) continue;
    best = yaw + pitch, best_ridge = ridge;
    out.held_out[0] = yaw, out.held_out[1] = pitch;
  }
  const Fit fit = regress(all, best_ridge);
  for (std::int64_t i = 0; i < 2; ++i) out.spread[i] = spread_of(slice(pose, 1, i, i + 1));
  auto stored = [](const Tensor& t) { return t.to(DType::f32); };
  out.directions = {stored(fit.centre), stored(fit.predictor), stored(direction_of(fit)), stored(fit.offset)};
  out.used = all.count();
  return out;
}

FoundDirections find_directions(const Generator& generator, const FaceFinder& faces, const FindDirectionsOptions& o) {
  Poses poses(faces);
  const Tensor w = random_truncated(generator, o);
  draw_images(generator, w, [&](std::int64_t first, const Tensor& images) {
    for (std::int64_t i = 0; i < images.dim(0); ++i) poses.add(slice(w, 0, first + i, first + i + 1), slice(images, 0, i, i + 1));
  });
  if (poses.used() < least_poses)
    fail(Errc::invalid_argument, "prior", "of ", o.pictures, " pictures of the generator ", poses.used(),
         " show a face that can be worked with, ", least_poses, " are needed: ", poses.without_face, " show none, ", poses.unfit,
         " an unfit one");
  const Samples samples = poses.samples();
  FoundDirections out = fit_directions(samples.w, samples.pose);
  out.without_face = poses.without_face, out.unfit = poses.unfit;
  return out;
}

FoundDirections make_pose_directions(const std::string& path, const WeightPaths& weights, const FindDirectionsOptions& o) {
  const FaceFinder faces{SafetensorsFile(weights.face_detector), SafetensorsFile(weights.face_landmarks)};
  const auto generator = [&] {
    const DefaultDevice guard(Context::current().options().device);
    return load_generator(SafetensorsFile(weights.generator));
  }();
  FoundDirections found = find_directions(*generator, faces, o);
  const PoseDirections& d = found.directions;
  write_safetensors(
      path, {{"centre", d.centre}, {"predictor", d.predictor}, {"direction", d.direction}, {"offset", d.offset}},
      {{"kind", "linear directions in W that turn heads"}, {"pictures", std::to_string(found.used)}, {"seed", std::to_string(o.seed)}});
  return found;
}

}  // namespace g2s
