// What `reconstruct` is asked to do, checked before any work starts.
#pragma once

#include <exception>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "models/gan2shape/reconstruction.h"

namespace g2s::app {

struct ReconstructOptions {
  std::vector<std::string> images;
  std::string preset = "auto", align = "auto", face = "largest", quality = "standard", weights, latent, mask, truth, out = "out", crop = "auto", views, progress = "auto",
              precision = "f32", memory_limit;
  std::uint64_t seed = 0;
  int size = 0;             // 0: the preset's
  int jobs = 1;            // images at a time
  double save_every = 120;  // seconds
  double scale = 1;         // of every iteration count
  bool resume = false, force = false, json = false, quiet = false;
  MachineOptions machine;
};

// One image.
struct Job {
  std::string stem;        // its name, see list_pictures(), with --face all and the face
  std::string folder;      // OUT/STEM
  std::string state_path;  // OUT/STEM.state.safetensors: what an interrupted fit leaves
  InputFiles files;
  Tensor latent;           // undefined: to be projected
  bool kept = false;       // finished before and not to be replaced
  bool resumed = false;
  bool started = false;
  std::exception_ptr failure;  // why it is not done
};

struct ReconstructSession {
  Reconstructor reconstructor;
  std::vector<Job> jobs;
  std::string note;  // why it works as it does, if the user left that open
};

// Reads every file that is named. What is wrong with a picture is its job's failure; it throws if nothing is left to be done, or naming what is
// wrong with all.
ReconstructSession prepare_session(const ReconstructOptions& options);

// Whether an image is fitted anew, gone on with or kept as it is. Throws where that would lose another fit. Files may change between two calls,
// unless this process alone may write them.
void decide(const ReconstructOptions& options, const Reconstructor& reconstructor, const Identity& identity, Job& job);

// Of an image that is kept: the state that its fit left if it was stopped between its result and its end.
void remove_state_of_finished(const Reconstructor& reconstructor, const Identity& identity, const Job& job);

// Throws if there are failures: the only one as it was, several in one sentence.
void report_failures(const std::vector<Job>& jobs);
// What a failure says, in the user's words, and whose it is.
std::string told_failure(const Job& job);

ContextOptions reconstruct_context(const ReconstructOptions& options);
}  // namespace g2s::app
