// Reconstructions through the C interface, beside the same in C++.
#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "engine/files.h"
#include "engine/path_lock.h"
#include "models/gan2shape/result.h"
#include "tests/cli/program.h"
#include "tests/support/c_fit.h"

using namespace g2s;
using namespace g2s::test;
using nlohmann::json;

namespace {

// The same fit in C++.
struct InCpp {
  Context context{{.settings = {.threads = 1}}};
  Reconstructor reconstructor;
  ReconstructionJob job;
  std::unique_ptr<Fit> fit;
  std::unique_ptr<FitResults> results;

  InCpp() {
    const UseContext in(context);
    reconstructor = load_reconstructor(shortest, {"", {source_path("assets")}});
    job = prepare_job(reconstructor, InputPixels{head(), {}, mask()}, latent());
    fit = start_fit(reconstructor, job, {});
    results = std::make_unique<FitResults>(fit->run(), fit->method(), pixels_to_image(job.input.photo));
  }
};
InCpp& in_cpp() {
  static InCpp fitted;
  return fitted;
}

std::string text_of(g2s_text text) {
  const std::string out = g2s_text_get(text);
  g2s_text_free(text);
  return out;
}

json names(g2s_fit fit) {
  g2s_text text = nullptr;
  REQUIRE_OK(g2s_fit_names(fit, &text));
  return json::parse(text_of(text));
}

json describe(g2s_fit fit) {
  g2s_text text = nullptr;
  REQUIRE_OK(g2s_fit_describe(fit, &text));
  return json::parse(text_of(text));
}

// Results of the fit have the bits of the C++ fit; those that follow from the others are left out where that was seen before.
const json at_hand = {"depth", "albedo", "reconstruction", "view", "light", "latent", "projection"};
void check_results(g2s_fit fit, const json& which = at_hand) {
  for (const std::string name : which) {
    INFO(name);
    g2s_tensor tensor = nullptr;
    REQUIRE_OK(g2s_fit_get(fit, name.c_str(), &tensor));
    g2s_array got;
    REQUIRE_OK(g2s_tensor_view(tensor, &got));
    const Tensor want = in_cpp().results->get(name);
    REQUIRE(got.rank == want.rank());
    CHECK(std::equal(want.shape().begin(), want.shape().end(), got.shape));
    REQUIRE(got.dtype == static_cast<int>(want.dtype()));
    CHECK(std::memcmp(got.data, want.raw(), want.bytes()) == 0);
    REQUIRE_OK(g2s_tensor_free(tensor));
  }
}

// What of a description depends on the machine and the time.
json without_figures(json told) {
  for (const char* name : {"seconds", "seconds_per_stage", "peak_memory", "program"}) told.erase(name);
  for (json& phase : told.at("phases")) phase.erase("seconds");
  return told;
}

// The folder is that of the C++ fit, and so is what is told of it.
void check_export(g2s_fit fit) {
  const TemporaryFolder folder;
  const std::string mine = folder / "c", theirs = folder / "cpp";
  REQUIRE_OK(g2s_fit_export(fit, mine.c_str()));
  const json want = without_figures(write_result(in_cpp().reconstructor, in_cpp().job, *in_cpp().results, theirs));
  CHECK(file_hashes(mine).size() > 70);
  CHECK(file_hashes(mine) == file_hashes(theirs));
  const json told = read_result(mine);
  CHECK(without_figures(told) == want);
  CHECK(without_figures(describe(fit)) == want);
  CHECK(told.at("program").at("version") == g2s_version());
  CHECK(told.at("picture").at("mask_source") == "given");
  CHECK_FALSE(told.at("picture").contains("file"));
  const std::string inside = folder / "c/mask.png/below";
  refused(g2s_fit_export(fit, inside.c_str()), G2S_IO, inside);
}

// A result of this fit may be replaced, and no other.
void check_export_over(g2s_fit fit, g2s_fit forced) {
  const TemporaryFolder folder;
  const std::string out = folder / "new/c", file = out + "/result.json";
  for (int i = 0; i < 2; ++i) REQUIRE_OK(g2s_fit_export(fit, (out + "/").c_str()));
  CHECK(entries(folder / "new") == std::vector<std::string>{"c"});
  {
    const PathLock other(out);
    refused(g2s_fit_export(fit, out.c_str()), G2S_IO, "is working on it");
  }
  json told = read_result(out);
  told["seed"] = 77;
  write_file(file, told.dump());
  refused(g2s_fit_export(fit, out.c_str()), G2S_INVALID_ARGUMENT, out + ": has another fit's result, made with another seed");
  CHECK(read_result(out) == told);
  REQUIRE_OK(g2s_fit_export(forced, out.c_str()));
  CHECK(read_result(out).at("seed") != 77);
  std::filesystem::remove(file);
  refused(g2s_fit_export(forced, out.c_str()), G2S_IO, out + ": holds other files and no result");
}

void check_refusals(g2s_fit fit) {
  g2s_tensor tensor = nullptr;
  for (const char* name : {"Depth", "views/mesh_yaw+35", "views/"})
    refused(g2s_fit_get(fit, name, &tensor), G2S_INVALID_ARGUMENT, str("name: '", name, "' is no result of a fit"));
  CHECK(tensor == nullptr);
  g2s_progress p{};
  refused(g2s_fit_get_progress(fit, &p), G2S_INVALID_ARGUMENT, "progress: its struct_size is 0");
  for (const g2s_status status : {g2s_fit_get(fit, nullptr, &tensor), g2s_fit_get(fit, "depth", nullptr), g2s_fit_save(fit, nullptr),
                                  g2s_fit_save(fit, ""), g2s_fit_resume(fit, nullptr), g2s_fit_export(fit, nullptr),
                                  g2s_fit_names(fit, nullptr), g2s_fit_describe(fit, nullptr), g2s_fit_get_progress(fit, nullptr)})
    CHECK(status == G2S_INVALID_ARGUMENT);
  REQUIRE_OK(g2s_fit_free(nullptr));
}

Tensor alpha_of(const Tensor& rgba) {
  Tensor alpha = Tensor::empty({1, rgba.dim(1), rgba.dim(2), 1}, DType::u8, Device{});
  for (std::int64_t i = 0; i < alpha.numel(); ++i) alpha.mutable_data<std::uint8_t>()[i] = rgba.data<std::uint8_t>()[4 * i + 3];
  return alpha;
}

}  // namespace

TEST_CASE("C fit: the bits of the C++ one, in steps from several threads") {
  FitContext c;
  const g2s_fit fit = new_fit(c);
  g2s_tensor tensor = nullptr;
  g2s_text text = nullptr;
  const char* unfinished = "fit: is not finished: it is in prior of stage 1 after 0 iterations";
  refused(g2s_fit_get(fit, "depth", &tensor), G2S_INVALID_ARGUMENT, unfinished);
  refused(g2s_fit_describe(fit, &text), G2S_INVALID_ARGUMENT, unfinished);
  refused(g2s_fit_export(fit, "/nowhere/out"), G2S_INVALID_ARGUMENT, unfinished);
  g2s_progress p = progress(fit);
  CHECK(std::string(p.stage) == "prior");
  CHECK(p.step == 0);
  CHECK(p.steps == 1);
  CHECK(p.has_loss == 0);
  CHECK(p.seconds_left < 0);
  std::vector<int32_t> done;
  for (int64_t most : {0, 1, 1, 2, -1, 1}) {
    int32_t finished = -1;
    g2s_status status = G2S_INTERNAL;
    std::thread([&] { status = g2s_fit_step(fit, most, &finished); }).join();
    CHECK(status == G2S_OK);
    done.push_back(finished);
    if (done.size() == 4) {
      p = progress(fit);
      CHECK(std::string(p.stage) == "collect");
      CHECK(p.step == 1);
      CHECK(p.steps == 2);
      CHECK(p.seconds > 0);
      CHECK(p.seconds_left > 0);
    }
  }
  CHECK(done == std::vector<int32_t>{0, 0, 0, 0, 1, 1});
  CHECK(c.watcher.stages == std::vector<std::string>{"prior", "step1", "step2", "collect", "collect", "step3"});
  CHECK(std::string(progress(fit).stage) == "done");
  CHECK(names(fit).size() == 87);
  check_results(fit, names(fit));
  check_export(fit);
  json options = fit_options();
  options["force"] = true;
  const g2s_fit forced = new_fit(c, options);
  REQUIRE_OK(g2s_fit_step(forced, -1, nullptr));
  check_export_over(fit, forced);
  check_refusals(fit);
  for (const g2s_fit finished : {fit, forced}) REQUIRE_OK(g2s_fit_free(finished));
}

TEST_CASE("C fit: stopped by a callback, by another thread, and gone on with to the same bits") {
  FitContext c;
  const g2s_fit fit = new_fit(c);
  int32_t done = 1;
  c.watcher.then = [](int seen) { return seen == 2; };
  refused(g2s_fit_step(fit, -1, &done), G2S_CANCELLED, "the callback asked to stop");
  CHECK(c.watcher.seen == 2);
  CHECK(done == 0);
  c.watcher.then = [&](int seen) {
    if (seen != 4) return 0;
    std::thread([&] { g2s_context_cancel(c.context); }).join();
    return 0;
  };
  refused(g2s_fit_step(fit, -1, &done), G2S_CANCELLED, "stopped in collect");
  CHECK(c.watcher.seen == 4);
  refused(g2s_fit_step(fit, -1, &done), G2S_CANCELLED, "");
  g2s_fit other = nullptr;
  const g2s_array picture = c_head();
  refused(g2s_fit_new(c.context, &picture, nullptr, nullptr, &other), G2S_CANCELLED, "");
  CHECK(other == nullptr);
  CHECK(progress(fit).step == 1);
  REQUIRE_OK(g2s_context_resume(c.context));
  REQUIRE_OK(g2s_fit_step(fit, -1, &done));
  CHECK(done == 1);
  CHECK(c.watcher.seen == iterations);
  REQUIRE_OK(g2s_context_free(c.context));  // the fit keeps it
  c.context = nullptr;
  check_results(fit);
  REQUIRE_OK(g2s_fit_free(fit));
}

TEST_CASE("C fit: saved, and gone on with in another one") {
  FitContext c;
  const TemporaryFolder folder;
  const std::string state = folder / "state", finished = folder / "finished";
  const g2s_fit first = new_fit(c);
  REQUIRE_OK(g2s_fit_step(first, 3, nullptr));
  REQUIRE_OK(g2s_fit_save(first, state.c_str()));
  REQUIRE_OK(g2s_fit_free(first));

  const g2s_fit second = new_fit(c);
  REQUIRE_OK(g2s_fit_resume(second, state.c_str()));
  CHECK(std::string(progress(second).stage) == "collect");
  REQUIRE_OK(g2s_fit_step(second, -1, nullptr));
  check_results(second);
  REQUIRE_OK(g2s_fit_save(second, finished.c_str()));
  REQUIRE_OK(g2s_fit_resume(second, state.c_str()));  // back
  g2s_tensor tensor = nullptr;
  refused(g2s_fit_get(second, "depth", &tensor), G2S_INVALID_ARGUMENT,
          "fit: is not finished: it is in collect of stage 1 after 0 iterations");
  REQUIRE_OK(g2s_fit_resume(second, finished.c_str()));
  check_results(second);
  refused(g2s_fit_resume(second, (folder / "none").c_str()), G2S_IO, folder / "none");

  json other = fit_options();
  other["seed"] = 4;
  const g2s_fit third = new_fit(c, other);
  refused(g2s_fit_resume(third, state.c_str()), G2S_INVALID_ARGUMENT, state + ": cannot be resumed: it was made with another seed");
  CHECK(std::string(progress(third).stage) == "prior");
  REQUIRE_OK(g2s_fit_step(third, 1, nullptr));  // it stays as it was
  for (const g2s_fit fit : {second, third}) REQUIRE_OK(g2s_fit_free(fit));
}

TEST_CASE("C fit: one call at a time") {
  FitContext c;
  const g2s_fit fit = new_fit(c);
  std::vector<g2s_status> got;
  c.watcher.then = [&](int) {
    g2s_progress p{};
    p.struct_size = sizeof p;
    got = {g2s_fit_step(fit, 1, nullptr), g2s_fit_get_progress(fit, &p)};
    std::thread([&] { got.push_back(g2s_fit_save(fit, "/nowhere/state")); }).join();
    return 0;
  };
  REQUIRE_OK(g2s_fit_step(fit, 1, nullptr));
  CHECK(got == std::vector<g2s_status>{G2S_BUSY, G2S_BUSY, G2S_BUSY});
  c.watcher.then = [&](int) {
    REQUIRE_OK(g2s_fit_free(fit));  // what is running ends well
    return 0;
  };
  REQUIRE_OK(g2s_fit_step(fit, 1, nullptr));
  refused(g2s_fit_step(fit, 1, nullptr), G2S_INVALID_ARGUMENT, "fit: is a handle of a fit that was freed");
}

TEST_CASE("C fit: what is rounded to the same pixels is the same picture, transparency too") {
  FitContext c;
  const TemporaryFolder folder;
  const std::string state = folder / "state";
  Tensor drawn = Tensor::empty({1, 64, 64, 4}, DType::u8, Device{});
  for (int i = 0; i < 64 * 64; ++i) {
    std::copy_n(head().data<std::uint8_t>() + 3 * i, 3, drawn.mutable_data<std::uint8_t>() + 4 * i);
    drawn.mutable_data<std::uint8_t>()[4 * i + 3] = mask().data<float>()[i] > 0 ? 200 : 0;
  }
  auto fit_of = [&](const Tensor& pixels) {
    const g2s_array picture = capi::view_of(pixels);
    g2s_fit fit = nullptr;
    REQUIRE_OK(g2s_fit_new(c.context, &picture, nullptr, fit_options().dump().c_str(), &fit));
    return fit;
  };
  const Tensor as_u8 = drawn.reshape({64, 64, 4}), as_f32 = pixels_to_image(as_u8), as_f16 = as_f32.to(DType::f16);
  const g2s_fit fit = fit_of(as_u8);
  REQUIRE_OK(g2s_fit_save(fit, state.c_str()));
  REQUIRE_OK(g2s_fit_free(fit));
  // The C++ fit of these pixels has the same identity.
  const InputPixels pixels{head(), alpha_of(drawn), {}};
  const UseContext in(in_cpp().context);
  require_resumable(in_cpp().reconstructor, prepare_job(in_cpp().reconstructor, pixels, latent()), state);
  for (const Tensor& same : {as_f32, as_f16}) {
    const g2s_fit other = fit_of(same);
    REQUIRE_OK(g2s_fit_resume(other, state.c_str()));
    REQUIRE_OK(g2s_fit_free(other));
  }
  const g2s_fit opaque = fit_of(head().reshape({64, 64, 3}));
  refused(g2s_fit_resume(opaque, state.c_str()), G2S_INVALID_ARGUMENT, state + ": cannot be resumed: it was made with another picture");
  REQUIRE_OK(g2s_fit_free(opaque));
}

TEST_CASE("C fit: options and arrays that are refused are named") {
  FitContext c;
  const g2s_array picture = c_head(), object = c_mask();
  g2s_fit fit = nullptr;
  auto options_refused = [&](const std::string& text, g2s_status status, const std::string& sentence) {
    INFO(text);
    refused(g2s_fit_new(c.context, &picture, &object, text.c_str(), &fit), status, sentence);
    CHECK(fit == nullptr);
  };
  options_refused("{", G2S_FORMAT, "options: are not JSON");
  options_refused("", G2S_FORMAT, "options: are not JSON");
  options_refused("[1]", G2S_FORMAT, "options: must be a JSON object, are array");
  options_refused(R"({"Preset": "face"})", G2S_INVALID_ARGUMENT, "options: there is no option 'Preset'");
  options_refused(R"({"preset": 1})", G2S_INVALID_ARGUMENT, "preset: must be a text, is number");
  options_refused(R"({"preset": "dog"})", G2S_INVALID_ARGUMENT, "preset: 'dog'");
  options_refused(R"({"preset": "face"})", G2S_INVALID_ARGUMENT, "weights: the preset 'face' needs a folder with its");
  options_refused(R"({"quality": "best"})", G2S_INVALID_ARGUMENT, "quality: 'best'");
  options_refused(R"({"crop": "left"})", G2S_INVALID_ARGUMENT, "crop: 'left'");
  for (const char* seed : {"-1", "1.5", "\"1\"", "18446744073709551616", "null"})
    options_refused(R"({"seed": )" + std::string(seed) + "}", G2S_INVALID_ARGUMENT, "seed: must be a whole number");
  options_refused(R"({"scale": true})", G2S_INVALID_ARGUMENT, "scale: must be a number, is boolean");
  options_refused(R"({"size": 64.5})", G2S_INVALID_ARGUMENT, "size: must be a whole number from 0 to 65536");
  options_refused(R"({"size": 96})", G2S_INVALID_ARGUMENT, "size: 96 is neither 64 nor 128");
  options_refused(R"({"scale": 0})", G2S_INVALID_ARGUMENT, "scale: 0 is not between 0 and 10");
  options_refused(R"({"weights": "/nowhere"})", G2S_IO, "/nowhere: does not exist");
  for (const char* bad : {"1", "[]", "[[]]", "[1, [2]]", "[[1], 2]", "[[1], [2, 3]]", "[[[[1]]]]", "[\"a\"]", "[1e300]", "{}"})
    options_refused(R"({"latent": )" + std::string(bad) + "}", G2S_INVALID_ARGUMENT, "latent: must be a list of numbers");
  options_refused(R"({"latent": [1, 2]})", G2S_INVALID_ARGUMENT, "latent: has shape [1,2], expected [1,512]");
  options_refused(R"({"latent": [[[1]], [[2]]]})", G2S_INVALID_ARGUMENT, "latent: holds 2 latents for one picture");

  auto arrays_refused = [&](const Tensor& pixels, const Tensor& m, g2s_status status, const std::string& sentence) {
    const g2s_array p = capi::view_of(pixels), given = m ? capi::view_of(m) : g2s_array{};
    refused(g2s_fit_new(c.context, &p, m ? &given : nullptr, nullptr, &fit), status, sentence);
    CHECK(fit == nullptr);
  };
  auto u8 = [](const Shape& shape) { return Tensor::zeros(shape, DType::u8, Device{}); };
  arrays_refused(u8({64, 64}), {}, G2S_SHAPE_MISMATCH, "picture: is [64,64], expected [H,W,3] or [H,W,4]");
  arrays_refused(u8({2, 64, 64, 3}), {}, G2S_SHAPE_MISMATCH, "picture: is [2,64,64,3]");
  arrays_refused(u8({20, 64, 3}), {}, G2S_INVALID_ARGUMENT, "picture: the picture is 64 x 20 pixels, at least 32 x 32");
  arrays_refused(Tensor::zeros({64, 64, 3}, DType::i32, Device{}), {}, G2S_SHAPE_MISMATCH, "picture: is i32");
  arrays_refused(Tensor::full({64, 64, 3}, std::nan(""), DType::f32, Device{}), {}, G2S_INVALID_ARGUMENT,
                 "picture: has values that are not finite");
  arrays_refused(u8({64, 64, 4}), {}, G2S_INVALID_ARGUMENT, "picture: its alpha channel, which is the mask, is empty");
  arrays_refused(u8({64, 64, 3}), u8({64, 63}), G2S_INVALID_ARGUMENT, "mask: the mask is 63 x 64 pixels, but the picture is 64 x 64");
  arrays_refused(u8({64, 64, 3}), u8({64, 64}), G2S_INVALID_ARGUMENT, "mask: it is empty");
  arrays_refused(u8({64, 64, 3}), u8({64, 64, 3}), G2S_SHAPE_MISMATCH, "mask: is [64,64,3], expected [H,W]");
  refused(g2s_fit_new(c.context, nullptr, nullptr, nullptr, &fit), G2S_INVALID_ARGUMENT, "picture: is null");
  refused(g2s_fit_new(nullptr, &picture, nullptr, nullptr, &fit), G2S_INVALID_ARGUMENT, "context: is null");
  refused(g2s_fit_new(c.context, &picture, nullptr, nullptr, nullptr), G2S_INVALID_ARGUMENT, "fit: is null");
}
