#include "apps/weights.h"

#include <filesystem>

#include "apps/assets.h"
#include "engine/error.h"

namespace g2s::app {
namespace {

namespace fs = std::filesystem;

const char* const generator_file = "stylegan2_g.safetensors";
const char* const discriminator_file = "stylegan2_d.safetensors";
const char* const depth_prior_file = "depth_prior.safetensors";

void find_gan(const std::string& folder, const std::string& preset, WeightNeeds needs, WeightPaths& paths) {
  const fs::path given = fs::path(folder);
  const bool has_g = !folder.empty() && fs::exists(given / generator_file), has_d = !folder.empty() && fs::exists(given / discriminator_file);
  if (has_g || has_d) {
    auto require = [&](bool there, const char* name) {
      if (!there) fail(Errc::io, (given / name).string(), "is missing; generator and discriminator come from one folder");
    };
    require(has_g || !needs.generator, generator_file);
    require(has_d || !needs.discriminator, discriminator_file);
    if (needs.generator) paths.generator = (given / generator_file).string();
    if (needs.discriminator) paths.discriminator = (given / discriminator_file).string();
    return;
  }
  if (preset != "default") {
    const std::string wanted = needs.discriminator ? str(generator_file, " and ", discriminator_file) : generator_file;
    if (folder.empty()) fail(Errc::invalid_argument, "--weights", "the preset '", preset, "' needs a folder with its ", wanted);
    fail(Errc::io, folder, "has no ", wanted, ", which the preset '", preset, "' needs");
  }
  if (needs.generator) paths.generator = asset(generator_file);
  if (needs.discriminator) paths.discriminator = asset(discriminator_file);
}

std::string own_or_asset(const std::string& folder, const char* name) {
  if (!folder.empty() && fs::exists(fs::path(folder) / name)) return (fs::path(folder) / name).string();
  return asset(name);
}

std::string find_depth_prior(const std::string& folder, const std::string& preset) {
  const bool shipped = preset == "default" || preset == "synface";
  const fs::path own = fs::path(folder) / depth_prior_file;
  if (!folder.empty() && fs::exists(own)) return own.string();
  return shipped ? asset(depth_prior_file) : std::string();
}

}  // namespace

WeightPaths find_weights(const std::string& folder, const std::string& preset, WeightNeeds needs) {
  if (!folder.empty() && !fs::is_directory(folder)) fail(Errc::io, folder, fs::exists(folder) ? "is not a folder" : "does not exist", " (--weights)");
  WeightPaths paths;
  if (needs.generator || needs.discriminator) find_gan(folder, preset, needs, paths);
  if (needs.lpips) paths.lpips = own_or_asset(folder, "lpips_vgg.safetensors");
  if (needs.u2netp) paths.u2netp = own_or_asset(folder, "u2netp.safetensors");
  if (needs.depth_prior) paths.depth_prior = find_depth_prior(folder, preset);
  return paths;
}

}  // namespace g2s::app
