// What `reconstruct` is asked to do, checked in full before any work starts.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/weights.h"
#include "models/gan2shape/fit.h"
#include "models/gan2shape/input.h"
#include "models/lpips.h"
#include "models/stylegan2_discriminator.h"
#include "models/stylegan2_generator.h"

namespace g2s::app {

struct ReconstructOptions {
  std::vector<std::string> images;
  std::string preset = "default", quality = "standard", weights, latent, mask, truth, out = "out", crop = "auto", progress = "auto",
              precision = "f32", memory_limit;
  std::uint64_t seed = 0;
  int jobs = 1;            // pictures at a time
  double save_every = 120;  // seconds
  double scale = 1;         // of every iteration count
  bool resume = false, force = false, json = false;
  MachineOptions machine;
};

// One picture.
struct Job {
  std::string stem;
  std::string folder;      // OUT/STEM
  std::string state_path;  // OUT/STEM.state.safetensors: what an interrupted fit leaves
  InputFiles files;
  Tensor latent;           // undefined: to be projected
  std::map<std::string, std::string> identity;  // what its result depends on, beside the settings
  bool kept = false;       // finished before and not to be replaced: nothing below is filled in
  bool resumed = false;
  PreparedInput input;
};

struct Plan {
  Device device;
  Config config;
  Quality quality = Quality::standard;
  CropMode crop = CropMode::automatic;
  WeightPaths weights;
  std::unique_ptr<StyleGan2Generator> generator;
  std::unique_ptr<StyleGan2Discriminator> discriminator;
  std::unique_ptr<Lpips> lpips;
  std::unique_ptr<SafetensorsFile> depth_prior;  // null: networks start from random weights
  std::vector<Job> jobs;
};

// Reads every file that is named, prepares every picture, checks the checkpoints that are to be resumed. Throws naming what is wrong.
Plan make_plan(const ReconstructOptions& options);

ContextOptions reconstruct_context(const ReconstructOptions& options);
FitInput fit_input(const Job& job);
FitOptions fit_options(const ReconstructOptions& options, const Plan& plan, const Job& job);

// Whether a finished result belongs to the job; throws naming what differs.
void require_same_result(const Plan& plan, const ReconstructOptions& options, const Job& job);

}  // namespace g2s::app
