#include "models/gan2shape/fit.h"

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "engine/allocator.h"
#include "engine/autograd.h"
#include "engine/context.h"
#include "tests/cli/program.h"
#include "tests/support/check.h"
#include "tests/support/left_behind.h"
#include "tests/support/turned_portrait.h"

using namespace g2s;
using namespace g2s::test;
using nlohmann::json;

namespace {

Config tiny_config() {
  Config c = small_config();
  c.batch = c.collect = 2;
  c.step3_batch = 1;
  c.stages = c.prior_iterations = 1;
  c.first_stage = {1, 1, 1};
  return c;
}

FitInput input_of(const World& w) {
  FitInput input;
  input.image = w.target.image;
  input.mask = w.target.mask;
  input.latent = w.target.latent;
  return input;
}

Fit fit_of(const World& w, const FitOptions& options) { return Fit(w.config, w.generator, &w.discriminator, w.lpips, input_of(w), options); }

using Metadata = std::map<std::string, std::string>;

void rewrite(const std::string& from, const std::string& to, const std::function<void(Metadata&)>& change) {
  const SafetensorsFile file(from);
  NamedTensors tensors;
  for (const auto& entry : file.entries()) tensors.emplace_back(entry.name, file.get(entry.name));
  Metadata metadata = file.metadata();
  change(metadata);
  write_safetensors(to, tensors, metadata);
}

void change_identity(Metadata& metadata, const std::function<void(json&)>& change) {
  json identity = json::parse(metadata.at("gan2shape_identity"));
  change(identity);
  metadata["gan2shape_identity"] = identity.dump();
}

// Without a memory limit, and with one that leaves a single image at a time.
std::pair<FitOptions, FitOptions> whole_and_parted(const World& w) {
  FitOptions whole, parted;
  const NetworkMemory g = w.generator.memory();
  const DiscriminatorConfig& d = w.discriminator.config();
  parted.memory_limit = std::max(step2_bytes(w.config, g, d, 1), step3_bytes(w.config, g, d, 1));
  return {whole, parted};
}

}  // namespace

TEST_CASE("a batch of step 3 may have all samples, and no more") {
  Config c = tiny_config();
  for (int bad : {-1, 5}) {
    c.step3_batch = bad;
    CHECK_THROWS_WITH_AS(c.validate(), doctest::Contains("step3_batch: must "), Error);
  }
  c.step3_batch = 4;
  c.first_stage.step3 = 2;
  const World w(c, small_widths);
  const FitResult result = fit_of(w, {}).run();
  CHECK(result.history.back().phase == Phase::step3);
  CHECK(result.history.back().iterations == 2);
}

TEST_CASE("step 1 updates by its gradients, and leaves what step 2 draws from") {
  const World w(tiny_config(), small_widths);
  const Step1 step(w.method, w.target, true, Tensor());
  const Step1::Result forward = step.forward();
  const Step1::Updated update = step.update();
  const std::vector<Tensor> gradients = grad({forward.losses.total}, step.parameters());
  REQUIRE(update.gradients.size() == gradients.size());
  for (std::size_t i = 0; i < gradients.size(); ++i) CHECK(same_bits(update.gradients[i], gradients[i]));
  const NamedTensors got = named(update.losses, "a_"), want = named(forward.losses, "a_");
  REQUIRE(got.size() == 7);
  for (std::size_t i = 0; i < got.size(); ++i) {
    CHECK(got[i].first == want[i].first);
    CHECK(same_bits(got[i].second, want[i].second.detach()));
  }
  CHECK(got.front().first == "a_l1");
  CHECK(got.back().first == "a_total");
  CHECK(same_bits(update.snapshot.canonical.albedo, forward.snapshot.canonical.albedo));
}

TEST_CASE("a state belongs to a memory limit only where batches are cut") {
  TemporaryFolder folder;
  const World w(tiny_config(), small_widths);
  const auto [whole, parted] = whole_and_parted(w);
  const std::string of_whole = folder / "whole", of_parts = folder / "parts";
  fit_of(w, whole).save(of_whole);
  fit_of(w, parted).save(of_parts);
  CHECK(!json::parse(SafetensorsFile(of_whole).metadata().at("gan2shape_identity")).contains("--memory-limit"));
  CHECK(json::parse(SafetensorsFile(of_parts).metadata().at("gan2shape_identity")).contains("--memory-limit"));
  CHECK_NOTHROW(fit_of(w, whole).resume(of_whole));
  CHECK_NOTHROW(fit_of(w, parted).resume(of_parts));
  for (const auto& [options, path] : {std::pair{whole, of_parts}, {parted, of_whole}})
    CHECK_THROWS_WITH_AS(fit_of(w, options).resume(path), doctest::Contains("made with another --memory-limit"), Error);
}

TEST_CASE("states of the program before this one: settings that are no more, whole batches named as parts") {
  TemporaryFolder folder;
  const World w(tiny_config(), small_widths);
  const auto [whole, parted] = whole_and_parted(w);
  fit_of(w, whole).save(folder / "now");
  rewrite(folder / "now", folder / "before", [](Metadata& metadata) {
    change_identity(metadata, [](json& identity) {
      json settings = json::parse(identity.at("settings").get<std::string>());
      settings["channel_multiplier"] = 1;
      identity["settings"] = settings.dump();
      identity["--memory-limit"] = "2 and 2 pictures at a time";
    });
  });
  Fit fit = fit_of(w, whole);
  CHECK_NOTHROW(fit.resume(folder / "before"));
  CHECK(fit.phase() == Phase::prior);
  CHECK_THROWS_WITH_AS(fit_of(w, parted).resume(folder / "before"), doctest::Contains("made with another --memory-limit"), Error);
}

TEST_CASE("whether a state can be resumed is known without networks") {
  TemporaryFolder folder;
  const World w(tiny_config(), small_widths);
  FitOptions mine;
  mine.identity = {{"picture", "a"}};
  const std::string path = folder / "state";
  fit_of(w, mine).save(path);
  auto require = [&](const std::string& file, const Config& config, const FitOptions& options) {
    require_resumable(file, config, w.generator, &w.discriminator, options);
  };
  Allocator& memory = allocator(Device{});
  memory.reset_peak();
  const std::size_t before = memory.stats().peak;
  CHECK_NOTHROW(require(path, w.config, mine));
  CHECK(memory.stats().peak == before);

  auto refused = [&](const std::string& file, const Config& config, const FitOptions& options, const std::string& why) {
    CHECK_THROWS_WITH_AS(require(file, config, options), (file + ": " + why).c_str(), Error);
  };
  FitOptions other = mine;
  other.seed = 1;
  refused(path, w.config, other, "cannot be resumed: it was made with another seed");
  other = mine;
  other.identity["picture"] = "b";
  refused(path, w.config, other, "cannot be resumed: it was made with another picture");
  other.identity = {};
  refused(path, w.config, other, "cannot be resumed: it was made with another picture");
  Config config = w.config;
  config.lam_perc = 1;
  refused(path, config, mine, "cannot be resumed: it was made with another setting 'lam_perc'");

  const std::string changed = folder / "changed";
  rewrite(path, changed, [](Metadata& metadata) { metadata.erase("gan2shape_state"); });
  refused(changed, w.config, mine, "is not a saved state of a fit");
  auto with = [&](const char* name, int value) {
    rewrite(path, changed, [&](Metadata& metadata) {
      json position = json::parse(metadata.at("gan2shape_state"));
      position[name] = value;
      metadata["gan2shape_state"] = position.dump();
    });
  };
  with("version", 2);
  refused(changed, w.config, mine, "was saved by another version of this program");
  with("phase", 7);
  refused(changed, w.config, mine, "is damaged: there is no phase 7");
  for (const char* key : {"gan2shape_state", "gan2shape_identity"}) {
    rewrite(path, changed, [&](Metadata& metadata) { metadata[key] = "{\"half"; });
    CHECK_THROWS_WITH_AS(require(changed, w.config, mine), doctest::Contains((changed + ": is damaged: ").c_str()), Error);
  }
}

TEST_CASE("a trace's description may say more than the method reads") {
  std::ifstream in(source_path("tests/golden/synface64.json"));
  json description = json::parse(in);
  const json want = to_json(config_from_trace(description, "trace"));
  description["gan"]["channel_multiplier"] = 2;
  CHECK(to_json(config_from_trace(description, "trace")) == want);
}

TEST_CASE("a fit in steps is the fit in one run, and stays whole where its listener throws") {
  const World w(tiny_config(), small_widths);
  const FitResult want = fit_of(w, {}).run();
  std::vector<std::string> stages;
  FitOptions options;
  options.progress = [&](const FitProgress& p) {
    stages.push_back(progress_state(p).stage);
    if (stages.size() == 3) throw std::runtime_error("enough");
  };
  Fit fit = fit_of(w, options);
  CHECK(progress_state(fit.progress()).stage == "prior");
  CHECK(fit.progress().seconds_left < 0);
  CHECK_FALSE(fit.step(0));
  CHECK_FALSE(fit.step(2));
  CHECK_THROWS_WITH_AS(fit.result(), "fit: is not finished: it is in step2 of stage 1 after 0 iterations", Error);
  CHECK_THROWS_WITH_AS(fit.step(1), "enough", std::runtime_error);
  CHECK(fit.progress().phase == Phase::collect);
  CHECK(fit.step(100));
  CHECK(fit.step(1));
  CHECK(stages == std::vector<std::string>{"prior", "step1", "step2", "collect", "collect", "step3"});
  const FitProgress done = fit.progress();
  CHECK(progress_state(done).stage == "done");
  CHECK(done.seconds_left == 0);
  const FitResult got = fit.result();
  CHECK(same_bits(got.recon, want.recon));
  CHECK(same_bits(got.depth, want.depth));
  CHECK(got.losses == want.losses);
}

TEST_CASE("a fit whose iteration failed goes on from a saved state alone") {
  TemporaryFolder folder;
  Config c = tiny_config();
  c.prior_iterations = 3;
  const World w(c, small_widths);
  Fit fit = fit_of(w, {});
  fit.step(1);
  fit.save(folder / "state");
  Tensor weight = fit.method().networks.netD.parameters().all()[0].value;
  copy_into(weight, Tensor::full(weight.shape(), std::nan("")));
  CHECK_THROWS_WITH_AS(fit.step(1), doctest::Contains("the loss is not finite in prior"), Error);
  const char* why = "fit: an iteration failed in prior of stage 1 after 1 iterations; it goes on from a saved state alone";
  CHECK_THROWS_WITH_AS(fit.step(1), why, Error);
  CHECK_THROWS_WITH_AS(fit.save(folder / "other"), why, Error);
  fit.resume(folder / "state");
  CHECK(fit.step(-1));
  CHECK(same_bits(fit.result().recon, fit_of(w, {}).run().recon));
}

TEST_CASE("a fit that is cancelled leaves the one beside it alone") {
  const World w(tiny_config(), small_widths);
  const auto recon_in = [&](Context& context, bool stops) -> Tensor {
    const UseContext in(context);
    FitOptions options;
    if (stops) options.progress = [&](const FitProgress&) { context.cancel(); };
    try {
      return fit_of(w, options).run().recon;
    } catch (const Error& e) {
      CHECK(e.code() == Errc::cancelled);
      return {};
    }
  };
  Context alone({.settings = {.threads = 2}}), stopped({.settings = {.threads = 3}}), beside({.settings = {.threads = 1}});
  const Tensor want = recon_in(alone, false);
  Tensor left;
  std::thread other([&] { left = recon_in(stopped, true); });
  const Tensor got = recon_in(beside, false);
  other.join();
  CHECK_FALSE(left.defined());
  CHECK(same_bits(got, want));
}

TEST_CASE("a hundred cancelled fits leave nothing behind") {
  const World w(tiny_config(), small_widths);
  const auto cancelled_fit = [&] {
    Context context({.settings = {.threads = 2}});
    const UseContext in(context);
    FitOptions options;
    options.progress = [&](const FitProgress&) { context.cancel(); };
    CHECK_THROWS_WITH_AS(fit_of(w, options).run(), doctest::Contains("stopped in "), Error);
  };
  for (int i = 0; i < 3; ++i) cancelled_fit();
  const Left before;
  for (int i = 0; i < 100; ++i) cancelled_fit();
  check_nothing_more(before);
}

TEST_CASE("a fit with directions and without a discriminator, gone on with from any phase") {
  const TemporaryFolder folder;
  const Config c = FaceWorld::with_directions(tiny_config());
  const Portrait p;
  FitInput input = input_of(p.w.small);
  input.latent = p.target.latent;
  input.pose = p.w.directions.offset;
  FitOptions options;
  options.directions = &p.w.directions;
  options.faces = &p.faces;
  auto fit = [&] { return Fit(c, p.generator, nullptr, p.w.small.lpips, input, options); };
  const FitResult whole = fit().run();
  std::vector<Phase> phases;
  for (const PhaseRecord& r : whole.history) phases.push_back(r.phase);
  CHECK(phases == std::vector<Phase>{Phase::prior, Phase::step1, Phase::step2, Phase::collect, Phase::step3});

  const std::string path = folder / "state";
  fit().save(path);
  bool done = false;
  for (int i = 0; i < 20 && !done; ++i) {
    Fit part = fit();
    part.resume(path);
    done = part.step(1);
    part.save(path);
    if (!done) continue;
    const FitResult parted = part.result();
    CHECK(same_bits(parted.canonical.depth, whole.canonical.depth));
    CHECK(same_bits(parted.recon, whole.recon));
    CHECK(parted.losses == whole.losses);
  }
  CHECK(done);
}
