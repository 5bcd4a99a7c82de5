// The shape that a generator of faces knows: landmarks followed through pictures that it turns, by structure from motion (Tomasi and Kanade 1992).
// Of the landmarks only their places in the pictures are used, never the depth that their network guesses.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "engine/export.h"

namespace g2s G2S_EXPORTED {

using Matrix3 = std::array<std::array<double, 3>, 3>;
struct TrackPoint {
  double x = 0, y = 0, z = 0;
};

// One picture under weak perspective: a point p is seen at scale * (rotation p)_xy + (x, y).
struct TrackCamera {
  Matrix3 rotation{};
  double scale = 1, x = 0, y = 0;
};

struct TrackedShape {
  std::vector<TrackPoint> points;  // in the frame of reference of the rotations that were given, about their mean
  std::vector<TrackCamera> cameras;
  std::vector<double> residuals;   // of each point, root mean square over the pictures, in the unit of the places
};

// places[k][i]: where picture k shows point i (z is not read); rotations[k]: roughly how picture k is turned. At least three pictures that differ
// in their rotation, each with the same number of points. Alternates between points and cameras, which become rotations with a scale.
TrackedShape structure_from_motion(const std::vector<std::vector<TrackPoint>>& places, const std::vector<Matrix3>& rotations);

// Points and cameras, turned together: each point p becomes `turn` p.
void turn_shape(TrackedShape& shape, const Matrix3& turn);

// Values at places as a smooth function of the plane: a thin plate spline, which gives way by each knot's `give`; 0 passes through it.
class ThinPlate {
 public:
  ThinPlate(std::vector<TrackPoint> knots, const std::vector<double>& give);  // z are the values
  double operator()(double x, double y) const;

 private:
  std::vector<TrackPoint> knots_;
  std::vector<double> weights_;  // of the knots, then 1, x, y
};

}  // namespace g2s
