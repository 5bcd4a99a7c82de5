// From files, or pixels in memory, to a folder of results, on the device, in the precision and until the cancellation of the thread's Context. Load once what all
// images share, then for each image: prepare, fit, write.
//
//   const Reconstructor r = load_reconstructor({.preset = "default"}, {.folder = "", .assets = {"assets"}});
//   const ReconstructionJob job = prepare_job(r, {.image = "head.png"}, {});
//   const std::unique_ptr<Fit> fit = start_fit(r, job, {.progress = show});
//   write_result(r, job, *fit, fit->run(), "out/head");
//
// Everything throws Error. Its op names the file at fault, or the setting by its name here.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/export.h"
#include "models/face/finder.h"
#include "models/gan2shape/export.h"
#include "models/gan2shape/fit.h"
#include "models/gan2shape/input.h"
#include "models/gan2shape/weights.h"
#include "models/generator.h"
#include "models/lpips.h"
#include "models/stylegan2_discriminator.h"

namespace g2s G2S_EXPORTED {

struct ReconstructionSettings {
  std::string preset = "default";
  Quality quality = Quality::standard;
  CropMode crop = CropMode::automatic;
  std::uint64_t seed = 0;
  std::size_t memory_limit = 0;  // bytes that a fit may take, 0: any; batches are then taken in parts, see MemoryPlan
  int size = 0;                  // S, the side of the pictures that the method works on: 64 or 128; 0: the preset's
  std::string views = {};        // of step 2: encoder or directions; empty: the preset's
  double scale = 1;              // of every iteration count, up to 10; below 1 only to try things out
  std::string align = "auto";    // of presets of faces: auto cuts the face out in FFHQ's frame; off: the picture is such a frame
  std::string face = "largest";  // which one, or its number from 1 on, see choose_faces()
};

// Hashes of the files and the few settings that a result depends on beside its Config and seed. A key completes "it was made with another ...".
// Those with dashes are as the first files of results and states have them.
using Identity = std::map<std::string, std::string>;

// What all images share. It outlives the fits that are made with it; several threads may fit with it at a time.
struct Reconstructor {
  ReconstructionSettings settings;
  Device device;  // of the context that loaded it
  WeightSource source;
  WeightPaths weights;
  Config config;
  std::unique_ptr<Generator> generator;
  std::unique_ptr<StyleGan2Discriminator> discriminator;  // null: LPIPS takes its place
  std::unique_ptr<Lpips> lpips;
  std::unique_ptr<PoseDirections> directions;    // of Config::views
  std::unique_ptr<FaceFinder> faces;             // with those
  std::unique_ptr<SafetensorsFile> depth_prior;  // null: networks start from random weights
  Identity identity;                             // without that of an image
};

// One image. Its tensors are on the CPU.
struct ReconstructionJob {
  InputFiles files;  // empty names: it was in memory
  Tensor latent;  // f32 [D], [1,D] or [1,L,D], see read_latents(); undefined: to be projected
  PreparedInput input;
  Identity identity;
};

// Finds and reads the weights. Throws too where a memory limit is less than a fit needs, so before any work starts.
Reconstructor load_reconstructor(const ReconstructionSettings& settings, const WeightSource& source);

// Reads the files and finds the object where neither a mask nor transparency says what it is, always in f32.
ReconstructionJob prepare_job(const Reconstructor& reconstructor, const InputFiles& files, const Tensor& latent);
ReconstructionJob prepare_job(const Reconstructor& reconstructor, const InputPixels& pixels, const Tensor& latent);

// A picture in memory is not the one in a file that was read into it: its pixels are its identity, not the file's bytes.
Identity identity_of(const Reconstructor& reconstructor, const InputFiles& files, const Tensor& latent);
Identity identity_of(const Reconstructor& reconstructor, const InputPixels& pixels, const Tensor& latent);

// A fit to be run, from the beginning or from a state that an earlier one saved; throws naming what differs if that state belongs to another job.
// Of the options the caller fills in progress, state_path and save_interval; the others follow from the job.
std::unique_ptr<Fit> start_fit(const Reconstructor& reconstructor, const ReconstructionJob& job, const FitOptions& options,
                               const std::string& resume_from = {});
// Throws as start_fit() does unless it can go on from that state.
void require_resumable(const Reconstructor& reconstructor, const ReconstructionJob& job, const std::string& state_path);

// Writes what FitResults and result_json() make, as a folder that appears when it is complete, in the place of an earlier one. `more` is merged
// into result.json: what only the caller knows, such as {"program": {"version": "1"}}. Where the context was cancelled the folder does not
// appear. Returns what is in result.json.
nlohmann::json write_result(const Reconstructor& reconstructor, const ReconstructionJob& job, const Fit& fit, const FitResult& result,
                            const std::string& folder, const nlohmann::json& more = nlohmann::json::object());
// The same of results that are kept.
nlohmann::json write_result(const Reconstructor& reconstructor, const ReconstructionJob& job, FitResults& results, const std::string& folder,
                            const nlohmann::json& more = nlohmann::json::object());

// Multiplies every iteration count, with at least one iteration of each.
void scale_schedule(Config& config, double factor);

}  // namespace g2s
