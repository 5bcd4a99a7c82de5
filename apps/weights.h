// Which weights a command uses: --weights DIR, the preset and the program's assets.
#pragma once

#include <string>

#include "engine/safetensors.h"

namespace g2s::app {

struct WeightPaths {
  std::string generator, discriminator, lpips, u2netp;  // empty: not needed
  std::string depth_prior;                              // empty: not needed, or there is none
};

struct WeightNeeds {
  bool generator = false, discriminator = false, lpips = false, u2netp = false, depth_prior = false;
};

// Generator and discriminator come from one folder: `folder` if it has either of them, else, for the preset `default` alone, the assets.
// LPIPS and U-2-Net-p come from `folder` if it has them, else from the assets. The depth network fitted to ellipsoids comes from `folder`, else, for
// the presets of synthetic heads, from the assets, else there is none. Throws naming the file that is missing.
WeightPaths find_weights(const std::string& folder, const std::string& preset, WeightNeeds needs);

}  // namespace g2s::app
