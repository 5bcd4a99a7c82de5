// What `reconstruct` is asked to do, checked in full before any work starts.
#pragma once

#include <string>
#include <vector>

#include "apps/commands.h"
#include "models/gan2shape/reconstruction.h"

namespace g2s::app {

struct ReconstructOptions {
  std::vector<std::string> images;
  std::string preset = "auto", align = "auto", face = "largest", quality = "standard", weights, latent, mask, truth, out = "out", crop = "auto", progress = "auto",
              precision = "f32", memory_limit;
  std::uint64_t seed = 0;
  int jobs = 1;            // images at a time
  double save_every = 120;  // seconds
  double scale = 1;         // of every iteration count
  bool resume = false, force = false, json = false, quiet = false;
  MachineOptions machine;
};

// One image.
struct Job {
  std::string stem;
  std::string folder;      // OUT/STEM
  std::string state_path;  // OUT/STEM.state.safetensors: what an interrupted fit leaves
  InputFiles files;
  Tensor latent;           // undefined: to be projected
  bool kept = false;       // finished before and not to be replaced: nothing below is filled in
  bool resumed = false;
  ReconstructionJob prepared;
};

struct ReconstructSession {
  Reconstructor reconstructor;
  std::vector<Job> jobs;
  std::string note;  // why it works as it does, if the user left that open
};

// Reads every file that is named, prepares every image, checks the checkpoints that are to be resumed. Throws naming what is wrong.
ReconstructSession prepare_session(const ReconstructOptions& options);

ContextOptions reconstruct_context(const ReconstructOptions& options);
}  // namespace g2s::app
