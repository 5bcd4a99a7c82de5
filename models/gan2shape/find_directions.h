// Finds how a generator of faces turns heads, from the pose that landmarks show in its own pictures.
#pragma once

#include <cstdint>
#include <string>

#include "engine/export.h"
#include "models/face/finder.h"
#include "models/gan2shape/pose_directions.h"
#include "models/gan2shape/weights.h"
#include "models/generator.h"

namespace g2s G2S_EXPORTED {

constexpr std::int64_t least_poses = 100;  // fewer do not say how a generator turns heads

struct FindDirectionsOptions {
  std::int64_t pictures = 1000;  // to draw
  std::uint64_t seed = 0;
};

struct FoundDirections {
  PoseDirections directions;                           // f32, on the CPU
  std::int64_t used = 0, without_face = 0, unfit = 0;  // pictures
  // Of yaw and pitch. Correlation of what a fit to four fifths of the pictures predicts for the others with what these show.
  double held_out[2] = {}, spread[2] = {};  // spread: standard deviation, degrees
};

// w [N,D] and the pose [N,2] of their pictures in degrees, both f64 on the CPU. Fills in all but the counts of pictures.
// Throws if there are fewer than least_poses.
FoundDirections fit_directions(const Tensor& w, const Tensor& pose);

// Draws pictures of random latents, truncated by 0.5 to 1, and measures the pose of the largest face in each. Those without a face, or with
// one that is unfit, are left out. Works on the context's device, reports to it and stops where it was cancelled.
FoundDirections find_directions(const Generator& generator, const FaceFinder& faces, const FindDirectionsOptions& options);

// Writes them to `path` as find_weights() finds them. Of the weights generator and faces are needed.
FoundDirections make_pose_directions(const std::string& path, const WeightPaths& weights, const FindDirectionsOptions& options);

}  // namespace g2s
