// Which weights a run uses: the user's own, or those that come with the program.
#pragma once

#include <string>
#include <vector>

#include "engine/export.h"

namespace g2s G2S_EXPORTED {

struct WeightSource {
  std::string folder;               // the user's own weights; empty: none
  std::vector<std::string> assets;  // where the weights that come with the program may be, see assets_folder()
  std::string only_assets = {};     // where the caller says that they are: nothing else counts; empty: it does not
};

struct WeightPaths {
  std::string generator, discriminator, lpips, u2netp;  // empty: not needed
  std::string depth_prior;                              // empty: not needed, or there is none
  std::string directions;                               // pose_directions.safetensors; empty: not needed
  std::string face_detector, face_landmarks;            // empty: not needed
};

struct WeightNeeds {
  bool generator = false, discriminator = false, lpips = false, u2netp = false, depth_prior = false, faces = false;
  bool directions = false;
  bool any_discriminator = false;       // it is taken where there is one
};

// Beside the library, or the program that it is linked into: assets/ (a Python package), ../share/gan2shape/assets (an installed prefix, a build
// folder) and ../../share/gan2shape/assets (where libraries have a folder for each architecture).
std::vector<std::string> default_asset_places();

// $GAN2SHAPE_ASSETS if that is set, else the first of `places` that holds the assets' README.md. Throws Error(io) if there is none.
std::string assets_folder(const std::vector<std::string>& places);

// Generator and discriminator come from one folder: the user's if it has either of them, else, for the preset `default` alone, the assets.
// LPIPS, U-2-Net-p and the two networks that find faces come from the user's folder if it has them, else from the assets. The depth network
// fitted to ellipsoids comes from the user's folder, else, for the presets of synthetic heads, from the assets, else there is none. Throws naming
// the file that is missing.
WeightPaths find_weights(const WeightSource& source, const std::string& preset, WeightNeeds needs);

}  // namespace g2s
