#include "models/gan2shape/face_tracks.h"

#include <cmath>
#include <utility>

#include "engine/error.h"
#include "models/gan2shape/linear_solve.h"

namespace g2s {
namespace {

constexpr int rounds = 60, polar_rounds = 30;

void solve(std::vector<double>& a, std::vector<double>& b) {
  if (!solve_linear(a, b)) fail(Errc::invalid_argument, "face tracks", "the pictures do not determine a shape");
}

std::vector<double> solved(std::vector<double> a, std::vector<double> b) {
  solve(a, b);
  return b;
}

Matrix3 product(const Matrix3& a, const Matrix3& b) {
  Matrix3 out{};
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j)
      for (std::size_t k = 0; k < 3; ++k) out[i][j] += a[i][k] * b[k][j];
  return out;
}

Matrix3 transposed(const Matrix3& a) {
  Matrix3 out{};
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j) out[i][j] = a[j][i];
  return out;
}

// The transpose of the inverse.
Matrix3 cofactors(const Matrix3& a) {
  Matrix3 out{};
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j) {
      const std::size_t r = (i + 1) % 3, s = (i + 2) % 3, u = (j + 1) % 3, v = (j + 2) % 3;
      out[i][j] = a[r][u] * a[s][v] - a[r][v] * a[s][u];
    }
  const double det = a[0][0] * out[0][0] + a[0][1] * out[0][1] + a[0][2] * out[0][2];
  for (auto& row : out)
    for (double& v : row) v /= det;
  return out;
}

// The rotation nearest to a matrix, by Newton's iteration (Higham 1986).
Matrix3 nearest_rotation(Matrix3 a) {
  for (int round = 0; round < polar_rounds; ++round) {
    const Matrix3 c = cofactors(a);
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 3; ++j) a[i][j] = (a[i][j] + c[i][j]) / 2;
  }
  return a;
}

// The points that the cameras explain best.
void fit_points(const std::vector<std::vector<TrackPoint>>& places, TrackedShape& shape) {
  for (std::size_t i = 0; i < shape.points.size(); ++i) {
    std::vector<double> a(9, 0.0), b(3, 0.0);
    for (std::size_t k = 0; k < shape.cameras.size(); ++k) {
      const TrackCamera& c = shape.cameras[k];
      const double seen[2] = {places[k][i].x - c.x, places[k][i].y - c.y};
      for (std::size_t row = 0; row < 2; ++row)
        for (std::size_t m = 0; m < 3; ++m) {
          const double v = c.scale * c.rotation[row][m];
          b[m] += v * seen[row];
          for (std::size_t n = 0; n < 3; ++n) a[m * 3 + n] += v * c.scale * c.rotation[row][n];
        }
    }
    const std::vector<double> x = solved(a, b);
    shape.points[i] = {x[0], x[1], x[2]};
  }
}

// The rotation and scale nearest to the affine camera that explains the points best.
void fit_camera(const std::vector<TrackPoint>& seen, const std::vector<TrackPoint>& points, TrackCamera& camera) {
  std::vector<double> a(16, 0.0), bx(4, 0.0), by(4, 0.0);
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double p[4] = {points[i].x, points[i].y, points[i].z, 1};
    for (std::size_t m = 0; m < 4; ++m) {
      bx[m] += p[m] * seen[i].x;
      by[m] += p[m] * seen[i].y;
      for (std::size_t n = 0; n < 4; ++n) a[m * 4 + n] += p[m] * p[n];
    }
  }
  const std::vector<double> x = solved(a, bx), y = solved(a, by);
  double xx = 0, yy = 0, xy = 0;
  for (std::size_t m = 0; m < 3; ++m) xx += x[m] * x[m], yy += y[m] * y[m], xy += x[m] * y[m];
  // (A A^T)^(-1/2) A, the square root of a 2 x 2 matrix in closed form.
  const double det = std::sqrt(xx * yy - xy * xy), trace = std::sqrt(xx + yy + 2 * det);
  const double r00 = (xx + det) / trace, r11 = (yy + det) / trace, r01 = xy / trace, d = r00 * r11 - r01 * r01;
  for (std::size_t m = 0; m < 3; ++m) {
    camera.rotation[0][m] = (r11 * x[m] - r01 * y[m]) / d;
    camera.rotation[1][m] = (r00 * y[m] - r01 * x[m]) / d;
  }
  const auto& u = camera.rotation[0];
  const auto& v = camera.rotation[1];
  camera.rotation[2] = {u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]};
  camera.scale = (r00 + r11) / 2;
  camera.x = x[3], camera.y = y[3];
}

void centre_points(TrackedShape& shape) {
  TrackPoint mean;
  const double n = static_cast<double>(shape.points.size());
  for (const TrackPoint& p : shape.points) mean = {mean.x + p.x / n, mean.y + p.y / n, mean.z + p.z / n};
  for (TrackPoint& p : shape.points) p = {p.x - mean.x, p.y - mean.y, p.z - mean.z};
}

// Points and cameras turned together so that the rotations are, on the whole, those that were given.
void turn_to(const std::vector<Matrix3>& wanted, TrackedShape& shape) {
  Matrix3 sum{};
  for (std::size_t k = 0; k < wanted.size(); ++k) {
    const Matrix3 part = product(transposed(wanted[k]), shape.cameras[k].rotation);
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 3; ++j) sum[i][j] += part[i][j];
  }
  turn_shape(shape, nearest_rotation(sum));
}

std::vector<double> residuals(const std::vector<std::vector<TrackPoint>>& places, const TrackedShape& shape) {
  std::vector<double> sums(shape.points.size(), 0.0);
  for (std::size_t k = 0; k < places.size(); ++k) {
    const TrackCamera& c = shape.cameras[k];
    for (std::size_t i = 0; i < shape.points.size(); ++i) {
      const TrackPoint& p = shape.points[i];
      auto along = [&](std::size_t row) { return c.scale * (c.rotation[row][0] * p.x + c.rotation[row][1] * p.y + c.rotation[row][2] * p.z); };
      const double dx = along(0) + c.x - places[k][i].x, dy = along(1) + c.y - places[k][i].y;
      sums[i] += dx * dx + dy * dy;
    }
  }
  for (double& sum : sums) sum = std::sqrt(sum / static_cast<double>(places.size()));
  return sums;
}

// Of the thin plate, in two dimensions.
double kernel(double dx, double dy) {
  const double r2 = dx * dx + dy * dy;
  return r2 > 0 ? r2 * std::log(r2) : 0;
}

}  // namespace

TrackedShape structure_from_motion(const std::vector<std::vector<TrackPoint>>& places, const std::vector<Matrix3>& rotations) {
  check(places.size() == rotations.size() && places.size() >= 3, "face tracks", places.size(), " pictures and ", rotations.size(), " rotations");
  TrackedShape shape;
  shape.points.resize(places[0].size());
  for (std::size_t k = 0; k < places.size(); ++k) {
    check(places[k].size() == shape.points.size(), "face tracks", "picture ", k, " has ", places[k].size(), " points");
    TrackCamera camera{rotations[k], 1, 0, 0};
    const double n = static_cast<double>(places[k].size());
    for (const TrackPoint& p : places[k]) camera.x += p.x / n, camera.y += p.y / n;
    shape.cameras.push_back(camera);
  }
  for (int round = 0; round < rounds; ++round) {
    fit_points(places, shape);
    centre_points(shape);
    for (std::size_t k = 0; k < places.size(); ++k) fit_camera(places[k], shape.points, shape.cameras[k]);
  }
  turn_to(rotations, shape);
  shape.residuals = residuals(places, shape);
  return shape;
}

void turn_shape(TrackedShape& shape, const Matrix3& turn) {
  for (TrackPoint& p : shape.points) {
    p = {turn[0][0] * p.x + turn[0][1] * p.y + turn[0][2] * p.z, turn[1][0] * p.x + turn[1][1] * p.y + turn[1][2] * p.z,
         turn[2][0] * p.x + turn[2][1] * p.y + turn[2][2] * p.z};
  }
  for (TrackCamera& c : shape.cameras) c.rotation = product(c.rotation, transposed(turn));
}

ThinPlate::ThinPlate(std::vector<TrackPoint> knots, const std::vector<double>& give) : knots_(std::move(knots)) {
  const std::size_t n = knots_.size(), all = n + 3;
  std::vector<double> a(all * all, 0.0);
  weights_.assign(all, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) a[i * all + j] = kernel(knots_[i].x - knots_[j].x, knots_[i].y - knots_[j].y);
    a[i * all + i] = give[i];
    const double plane[3] = {1, knots_[i].x, knots_[i].y};
    for (std::size_t k = 0; k < 3; ++k) a[i * all + n + k] = a[(n + k) * all + i] = plane[k];
    weights_[i] = knots_[i].z;
  }
  solve(a, weights_);
}

double ThinPlate::operator()(double x, double y) const {
  const std::size_t n = knots_.size();
  double sum = weights_[n] + weights_[n + 1] * x + weights_[n + 2] * y;
  for (std::size_t i = 0; i < n; ++i) sum += weights_[i] * kernel(x - knots_[i].x, y - knots_[i].y);
  return sum;
}

}  // namespace g2s
