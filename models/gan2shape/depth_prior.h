// The depth network of a generator's images, fitted to ellipsoids once, so that every fit starts from there.
#pragma once

#include <cstdint>
#include <string>

#include "engine/export.h"
#include "models/gan2shape/config.h"
#include "models/gan2shape/weights.h"

namespace g2s G2S_EXPORTED {

struct DepthPriorOptions {
  std::int64_t images = 64;    // to draw
  int iterations = 2000;       // of the fit
  std::uint64_t seed = 0;      // of images and network
};

struct DepthPriorReport {
  std::int64_t images = 0;    // with an object in them
  double loss = 0;            // of the last iteration
};

// Draws images of the generator, finds their objects and fits netD to their ellipsoids. Writes it to `path` as find_weights() finds it:
// f16, with
// where it came from as metadata. Of the weights generator and u2netp are needed. Works on the context's
// device, reports every image and iteration to it, logs why an image is left out, and stops where it was cancelled.
DepthPriorReport make_depth_prior(const std::string& path, const WeightPaths& weights, const Config& config, const DepthPriorOptions& options);

}  // namespace g2s
