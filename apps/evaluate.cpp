#include <algorithm>
#include <filesystem>
#include <iostream>

#include "apps/commands.h"
#include "apps/output.h"
#include "apps/table.h"
#include "engine/image.h"
#include "engine/npy.h"
#include "models/gan2shape/config.h"
#include "models/gan2shape/input.h"

namespace g2s::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Options {
  std::string results, truth;
  bool as_json = false;
  MachineOptions machine;
};

// Finished results below the folder, or the folder itself, by name.
std::vector<std::string> result_folders(const std::string& folder) {
  if (!fs::is_directory(folder)) fail(Errc::io, folder, fs::exists(folder) ? "is not a folder" : "does not exist");
  if (is_finished(folder)) return {folder};
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory() && is_finished(entry.path().string())) found.push_back(entry.path().string());
  }
  std::sort(found.begin(), found.end());
  if (found.empty()) fail(Errc::io, folder, "holds no finished reconstruction");
  return found;
}

std::string stem_of(const std::string& folder) {
  const fs::path path = fs::path(folder).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

PictureBox box_of(const json& result, const std::string& folder) {
  try {
    const json& box = result.at("picture").at("used");
    auto number = [&](const char* name) { return box.at(name).get<std::int64_t>(); };
    return {number("left"), number("top"), number("width"), number("height")};
  } catch (const json::exception&) {
    fail(Errc::format, folder + "/result.json", "does not say which part of the picture was used");
  }
}

// The shape as it was exported against the truth: what reconstruct reports from memory, computed from the files.
json measure_result(const std::string& folder, const std::string& truth_path) {
  const json result = read_result(folder);
  Config config;
  try {
    config = preset(result.at("settings").at("preset").get<std::string>());
  } catch (const json::exception&) {
    fail(Errc::format, folder + "/result.json", "does not name its preset");
  }
  const std::string depth_path = folder + "/input_depth.npy", mask_path = folder + "/mask.png";
  Tensor depth = read_npy(depth_path);
  const std::int64_t s = config.size;
  if (depth.shape() != Shape{s, s} || depth.dtype() != DType::f32) {
    fail(Errc::format, depth_path, "is ", describe(depth), ", expected f32 ", Shape{s, s});
  }
  Tensor mask = read_grey(mask_path);
  if (mask.shape() != Shape{1, s, s, 1}) fail(Errc::format, mask_path, "is ", mask.dim(2), " x ", mask.dim(1), " pixels, expected ", s, " x ", s);
  Tensor full = read_true_depth(truth_path);
  const PictureBox box = box_of(result, folder);
  if (box.left + box.width > full.dim(2) || box.top + box.height > full.dim(1) || box.width < 1 || box.height < 1 || box.left < 0 || box.top < 0) {
    fail(Errc::invalid_argument, truth_path, "is ", full.dim(2), " x ", full.dim(1), " pixels, which the picture of ", folder, " was not");
  }
  Tensor reached = Tensor::empty({1, s, s, 1});
  for (std::int64_t i = 0; i < s * s; ++i) reached.mutable_data<float>()[i] = depth.data<float>()[i] > 0 ? 1.f : 0.f;
  Tensor seen = depth.reshape({1, s, s, 1}).detach().clone();
  for (std::int64_t i = 0; i < s * s; ++i) {
    float& d = seen.mutable_data<float>()[i];
    if (d <= 0) d = static_cast<float>(config.max_depth);  // beside the mask: not measured, but a logarithm is taken
  }
  return metrics_json(measure_all(seen, reached, prepare_truth(full, box, config), mask, config));
}

int run(const Options& o) {
  const CommandContext context(context_options(o.machine, DeviceSupport::cpu));
  if (!fs::is_directory(o.truth)) fail(Errc::io, o.truth, fs::exists(o.truth) ? "is not a folder" : "does not exist", " (--truth)");
  MetricRows rows;
  std::vector<json> results;
  std::vector<std::string> skipped;
  for (const std::string& folder : result_folders(o.results)) {
    const std::string truth = (fs::path(o.truth) / (stem_of(folder) + "_depth.png")).string();
    if (!fs::exists(truth)) {
      skipped.push_back(stem_of(folder));
      continue;
    }
    rows.emplace_back(stem_of(folder), measure_result(folder, truth));
    results.push_back(read_result(folder));
  }
  for (const std::string& stem : skipped) {
    std::cerr << "gan2shape: " << stem << " has no " << stem << "_depth.png in " << o.truth << ", it is left out" << std::endl;
  }
  if (rows.empty()) fail(Errc::io, o.truth, "holds the true depth (STEM_depth.png) of none of the reconstructions");
  const MetricRows phases = phase_means(results);
  if (o.as_json) {
    json pictures = json::object(), after = json::array();
    for (const auto& [stem, metrics] : rows) pictures[stem] = metrics;
    for (const auto& [phase, metrics] : phases) after.push_back({{"phase", phase}, {"mean", metrics}});
    std::cout << json{{"pictures", pictures}, {"mean", mean_metrics(rows)}, {"phases", after}, {"skipped", skipped}}.dump(2) << '\n';
    return 0;
  }
  print_table(std::cout, rows);
  print_phases(std::cout, phases);
  return 0;
}

}  // namespace

Command add_evaluate(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("results", o->results, "The --out folder of reconstruct")->type_name("OUT")->required();
  app.add_option("--truth", o->truth, "Folder with the true depth of each picture, STEM_depth.png")->type_name("DIR")->required();
  app.add_flag("--json", o->as_json, "Print the result as JSON");
  add_machine_options(app, o->machine);
  return [o] { return run(*o); };
}

}  // namespace g2s::app
