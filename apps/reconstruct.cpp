#include "apps/reconstruct.h"

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "apps/concurrent.h"
#include "apps/definitions.h"
#include "apps/memory_size.h"
#include "apps/progress.h"
#include "apps/settings.h"
#include "apps/table.h"
#include "engine/allocator.h"
#include "engine/context.h"
#include "engine/files.h"
#include "engine/image.h"
#include "engine/json_text.h"
#include "engine/path_lock.h"
#include "models/gan2shape/config.h"
#include "models/gan2shape/result.h"

namespace g2s::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

ProgressPrinter::Style progress_style(const ReconstructOptions& o) {
  if (o.quiet) return ProgressPrinter::Style::warnings;
  if (o.progress == "lines") return ProgressPrinter::Style::lines;
  return o.progress == "none" ? ProgressPrinter::Style::quiet : ProgressPrinter::Style::automatic;
}

// What the program says in result.json beside the fit: its version, and what a first look costs.
json known_beside(Quality quality) {
  json more = {{"program", {{"version", program_version}}}};
  if (quality == Quality::draft)
    more["note"] = "draft quality: a shortened schedule for a first look; the shape is clearly less accurate than with --quality standard";
  return more;
}

// Fits one image and puts its folder into place. The checkpoint goes when the result is there.
json run_job(const ReconstructOptions& o, const Reconstructor& reconstructor, const Job& job, const ReconstructionJob& prepared, const Work& work,
             ProgressPrinter& progress) {
  if (o.jobs == 1) allocator(reconstructor.device).reset_peak();
  FitOptions options;
  options.progress = [&](const FitProgress& p) { progress.update(progress_state(p), work); };
  options.state_path = job.state_path;
  options.save_interval = o.save_every;
  const auto fit = start_fit(reconstructor, prepared, options, job.resumed ? job.state_path : "");
  const FitResult fitted = fit->run();
  check_cancelled(job.stem);
  const json result = write_result(reconstructor, prepared, *fit, fitted, job.folder, known_beside(reconstructor.settings.quality));
  std::error_code ignored;
  fs::remove(job.state_path, ignored);
  return result;
}

void announce(const Job& job, const ReconstructionJob& prepared, ProgressPrinter& progress) {
  for (const std::string& note : prepared.input.notes) progress.note(job.stem + ": " + note);
  if (job.resumed) progress.note(job.stem + ": going on from the checkpoint");
  else if (fs::exists(job.state_path)) progress.note(job.stem + ": starting anew, the checkpoint of a fit that did not finish is replaced");
}

void summarize(const Job& job, const json& result, ProgressPrinter& progress) {
  const json& latent = result.at("latent");
  char fit[96];
  std::snprintf(fit, sizeof fit, "LPIPS %.3f, squared error %.4f inside the mask", latent.at("lpips_in_mask").get<double>(),
                latent.at("squared_error_in_mask").get<double>());
  progress.note(job.stem + ": the generator's picture fits with " + fit);
  for (const json& warning : result.at("warnings")) progress.note(job.stem + ": warning: " + warning.get<std::string>());
  progress.note(job.stem + ": finished in " + format_seconds(result.at("seconds").get<double>()) + ", " + job.folder);
}

void print_results(const ReconstructOptions& o, const std::vector<std::pair<std::string, json>>& results) {
  if (o.json) {
    json all = json::object();
    for (const auto& [stem, result] : results) all[stem] = result;
    std::cout << json_text({{"results", all}}) << '\n';
    return;
  }
  MetricRows rows;
  std::vector<json> measured;
  for (const auto& [stem, result] : results) {
    if (!result.contains("metrics")) continue;
    rows.emplace_back(stem, result.at("metrics"));
    measured.push_back(result);
  }
  print_table(std::cout, rows);
  print_phases(std::cout, phase_means(measured));
}

json kept_result(const Job& job, ProgressPrinter& progress) {
  progress.note(job.stem + ": finished before and kept in " + job.folder + "; --force replaces it");
  return read_result(job.folder);
}

// With the right to write the image's files alone, so what was decided before may have changed.
json fit_or_keep(const ReconstructOptions& o, const Reconstructor& reconstructor, Job& job, const Work& work, ProgressPrinter& progress) {
  ReconstructionJob prepared;
  if (!job.kept) prepared = prepare_job(reconstructor, job.files, job.latent);
  make_folders(o.out);
  const PathLock lock(job.folder);
  const Identity identity = job.kept ? identity_of(reconstructor, job.files, job.latent) : prepared.identity;
  decide(o, reconstructor, identity, job);
  if (lock.held())
    for (const std::string& path : {job.folder, job.state_path}) remove_leftovers(path);
  if (job.kept) {
    remove_state_of_finished(reconstructor, identity, job);
    return kept_result(job, progress);
  }
  if (!prepared.input.image) prepared = prepare_job(reconstructor, job.files, job.latent);  // its result was there, and is no more
  announce(job, prepared, progress);
  const json result = run_job(o, reconstructor, job, prepared, work, progress);
  summarize(job, result, progress);
  return result;
}

// One image of the session, finished or found finished.
json do_job(const ReconstructOptions& o, const Reconstructor& reconstructor, Job& job, const Work& work, ProgressPrinter& progress) {
  check_cancelled(job.stem);
  job.started = true;
  try {
    return fit_or_keep(o, reconstructor, job, work, progress);
  } catch (const Error& e) {
    if (e.code() == Errc::cancelled) fail(Errc::cancelled, job.stem, e.message(), fs::exists(job.state_path) ? "; --resume goes on from there" : "");
    if (e.code() != Errc::out_of_memory) throw;
    fail(Errc::out_of_memory, job.stem, e.message(), "; a ", o.memory_limit.empty() ? "" : "smaller ", "--memory-limit takes batches in smaller parts",
         o.jobs > 1 ? ", fewer --jobs take less at a time" : "");
  }
}

// Nobody should wait for hours to hear of it; with a single image it is all there is to be said at the end.
void say_failures(const std::vector<Job>& jobs, ProgressPrinter& progress) {
  for (const Job& job : jobs)
    if (job.failure && jobs.size() > 1) progress.note(told_failure(job) + "; the other pictures go on");
}

// Takes a picture out of what is shown, however it ended.
struct AtEnd {
  ProgressPrinter& progress;
  const Work& work;
  ~AtEnd() { progress.finish(work); }
};

// All that have not failed, and what they give at their places.
std::vector<json> do_jobs(const ReconstructOptions& o, ReconstructSession& session, ProgressPrinter& progress) {
  std::vector<Job>& jobs = session.jobs;
  std::vector<json> done(jobs.size());
  const auto thrown = run_concurrently(jobs.size(), static_cast<std::size_t>(o.jobs), [&](std::size_t i) {
    if (jobs[i].failure) return;
    const Work work{jobs[i].stem, i + 1, jobs.size()};
    const AtEnd at_end{progress, work};
    done[i] = do_job(o, session.reconstructor, jobs[i], work, progress);
  });
  for (std::size_t i = 0; i < jobs.size(); ++i)
    if (thrown[i]) jobs[i].failure = thrown[i];
  return done;
}

int run(const ReconstructOptions& o) {
  const CommandContext context(reconstruct_context(o));
  ReconstructSession session = prepare_session(o);
  ProgressPrinter progress(std::cerr, progress_style(o));
  if (!session.note.empty()) progress.note(session.jobs.size() == 1 ? session.jobs.front().stem + ": " + session.note : session.note);
  if (const json more = known_beside(session.reconstructor.settings.quality); more.contains("note")) progress.note(more["note"]);
  say_failures(session.jobs, progress);
  const std::vector<json> done = do_jobs(o, session, progress);
  progress.clear();
  std::vector<std::pair<std::string, json>> results;
  for (std::size_t i = 0; i < done.size(); ++i)
    if (!done[i].is_null()) results.emplace_back(session.jobs[i].stem, done[i]);
  if (!results.empty() && !Context::current().cancelled()) print_results(o, results);
  report_failures(session.jobs);
  return 0;
}

void add_files(CLI::App& app, ReconstructOptions& o) {
  app.add_option("--weights", o.weights, "Folder with stylegan2_g or mobilestylegan, stylegan2_d, lpips_vgg, u2netp .safetensors; else the program's own")
      ->type_name("DIR");
  app.add_option("--latent", o.latent,
                 "Latents of the pictures, of this program or of another tool (.safetensors, .npy, .npz, .pt), or a folder with STEM.npy "
                 "and so on; "
                 "else they are projected")
      ->type_name("FILE|DIR");
  app.add_option("--mask", o.mask,
                 "Mask of the object: white on black, a cut-out or labels, in the picture's shape, or a folder with STEM.png; else its "
                 "alpha channel, "
                 "else found")
      ->type_name("FILE|DIR");
  app.add_option("--truth", o.truth, "True depth (16-bit PNG) to measure against, or a folder with STEM_depth.png")->type_name("FILE|DIR");
}

}  // namespace

Command add_reconstruct(CLI::App& app) {
  auto o = std::make_shared<ReconstructOptions>();
  std::vector<std::string> presets = preset_names();
  presets.insert(presets.begin(), "auto");
  app.add_option("images", o->images, str("Pictures of one object each: ", picture_formats(), "; a folder stands for the pictures in it"))
      ->type_name("IMAGE")
      ->required();
  app.add_option("-o,--out", o->out, "Folder for the results: OUT/STEM for each picture; OUT/STEM_png, OUT/STEM_jpg where two are called alike")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_option("--preset", o->preset, "ffhq (photographs of faces), default (rendered heads, 64 pixels), face, synface, cat, car or church; auto: ffhq where a photograph shows a face")
      ->type_name("NAME")
      ->check(one_of(presets))
      ->capture_default_str();
  add_files(app, *o);
  app.add_option("--crop", o->crop,
                 "auto: pictures that are not square are cut to the square around the object; object: all are; none: the whole picture, "
                 "stretched if need be")
      ->type_name("MODE")
      ->check(one_of({"auto", "object", "none"}))
      ->capture_default_str();
  app.add_option("--align", o->align, "With ffhq: auto cuts the face out in FFHQ's frame; off takes the picture for one that is cut like that already")
      ->type_name("MODE")
      ->check(one_of({"auto", "off"}))
      ->capture_default_str();
  app.add_option("--face", o->face, "With ffhq: which face, largest, its number in `gan2shape faces`, or all, each in a folder STEM_faceN")
      ->type_name("largest|all|N")
      ->check(one_of({"largest", "all"}, is_face_number, "a number"))
      ->capture_default_str();
  app.add_option("--quality", o->quality, "draft (a first look), standard or paper (the published schedule)")
      ->type_name("NAME")
      ->check(one_of({"draft", "standard", "paper"}))
      ->capture_default_str();
  app.add_option("--seed", o->seed, "Seed of all random numbers: the same seed gives the same bytes")
      ->type_name("N")
      ->check(whole_number(0, UINT64_MAX))
      ->capture_default_str();
  app.add_option("--size", o->size, "Side of the pictures that the method works on: 64, which is quicker, or 128; else the preset's")
      ->type_name("N")
      ->check(one_of({"64", "128"}));
  app.add_option("--views", o->views, "Of step 2: encoder, as published, or directions, by which a generator turns heads; else ffhq has directions, others the encoder")
      ->type_name("NAME")
      ->check(one_of({"encoder", "directions"}));
  app.add_flag("--resume", o->resume, "Go on where an interrupted run stopped, to the same bits");
  app.add_flag("--force", o->force, "Replace finished results, and checkpoints of fits that did not finish");
  app.add_option("--scale", o->scale, "Multiply every iteration count. Half of standard (0.5) is about what draft does, with its less accurate shapes; far below, to "
                 "try the program out, the shape stays near the first one, from which every fit starts; above 1 little is gained")
      ->type_name("FACTOR")
      ->check(positive_number())
      ->capture_default_str();
  app.add_option("--save-every", o->save_every, "Seconds between two checkpoints")->type_name("SECONDS")->check(positive_number())->capture_default_str();
  app.add_option("--progress", o->progress, "auto (one line on a terminal, elsewhere a line a phase), lines (now and then a line) or none")
      ->type_name("STYLE")
      ->check(one_of({"auto", "lines", "none"}))
      ->capture_default_str();
  app.add_option("--memory-limit", o->memory_limit,
                 "Stay below this much memory, with --device cuda of the device, for example 2G: batches are taken in parts, with the same result but for "
                 "the order of sums")
      ->type_name("SIZE")
      ->check(readable([](const std::string& text) { memory_size_from(text); }));
  app.add_option("-j,--jobs", o->jobs, "Pictures at a time, to the same results; each takes memory of its own, and --memory-limit holds for each")
      ->type_name("N")
      ->check(whole_number(1, 64))
      ->capture_default_str();
  app.add_flag("--json", o->json, "Print the results as JSON");
  app.add_flag("-q,--quiet", o->quiet, "Show no progress and no notes: nothing but results, warnings and errors");
  group(app, Part::input, {"--mask", "--latent", "--truth", "--weights", "--crop", "--align", "--face"});
  group(app, Part::fit, {"--preset", "--quality", "--size", "--views", "--scale", "--seed"});
  group(app, Part::results, {"--out", "--json", "--force", "--resume", "--save-every"});
  group(app, Part::machine, {"--jobs", "--memory-limit"});
  group(app, Part::messages, {"--progress", "--quiet"});
  add_precision_option(app, o->precision);
  add_machine_options(app, o->machine);
  return [o] { return run(*o); };
}

}  // namespace g2s::app
