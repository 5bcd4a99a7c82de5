#include "models/gan2shape/evaluation.h"

#include <algorithm>
#include <filesystem>

#include "engine/error.h"
#include "engine/image.h"
#include "engine/npy.h"
#include "models/gan2shape/result.h"

namespace g2s {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

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

// The part of the image that was used.
ImageBox box_of(const json& result, const std::string& folder) {
  try {
    const json& box = result.at("picture").at("used");
    auto number = [&](const char* name) { return box.at(name).get<std::int64_t>(); };
    return {number("left"), number("top"), number("width"), number("height")};
  } catch (const json::exception&) {
    fail(Errc::format, folder + "/result.json", "does not say which part of the picture was used");
  }
}

Config config_of(const json& result, const std::string& folder) {
  try {
    Config c = preset(result.at("settings").at("preset").get<std::string>());
    c.size = result.at("settings").at("size").get<int>();
    return c;
  } catch (const std::exception&) {
    fail(Errc::format, folder + "/result.json", "does not name a preset");
  }
}

// The shape as it was exported against the truth.
json measure_result(const json& result, const std::string& folder, const std::string& truth_path) {
  const Config config = config_of(result, folder);
  const std::string depth_path = folder + "/input_depth.npy", mask_path = folder + "/mask.png";
  const std::int64_t s = config.size;
  const Tensor depth = read_npy(depth_path), mask = read_grey(mask_path), truth = read_true_depth(truth_path);
  if (depth.shape() != Shape{s, s} || depth.dtype() != DType::f32) fail(Errc::format, depth_path, "is ", describe(depth), ", expected f32 ", Shape{s, s});
  if (mask.shape() != Shape{1, s, s, 1}) fail(Errc::format, mask_path, "is ", mask.dim(2), " x ", mask.dim(1), " pixels, expected ", s, " x ", s);
  const ImageBox box = box_of(result, folder);
  if (box.left + box.width > truth.dim(2) || box.top + box.height > truth.dim(1) || box.width < 1 || box.height < 1 || box.left < 0 || box.top < 0) {
    fail(Errc::invalid_argument, truth_path, "is ", truth.dim(2), " x ", truth.dim(1), " pixels, which the picture of ", folder, " was not");
  }
  Tensor seen = depth.reshape({1, s, s, 1}).clone(), reached = Tensor::zeros({1, s, s, 1});
  for (std::int64_t i = 0; i < s * s; ++i) {
    float& d = seen.mutable_data<float>()[i];
    if (d > 0) reached.mutable_data<float>()[i] = 1;
    else d = static_cast<float>(config.max_depth);  // beside the mask: not measured, but a logarithm is taken
  }
  return metrics_json(measure_all(seen, reached, prepare_truth(truth, box, config), mask, config));
}

}  // namespace

json mean_metrics(const MetricRows& rows) {
  json mean = json::object();
  for (const char* key : {"side", "mad", "ellipsoid_side", "ellipsoid_mad", "constant_side", "constant_mad"}) {
    double sum = 0;
    for (const auto& row : rows) sum += row.second.at(key).get<double>();
    mean[key] = sum / static_cast<double>(rows.size());
  }
  return mean;
}

MetricRows phase_means(const std::vector<json>& results) {
  std::vector<MetricRows> phases;  // per phase, one row per result
  for (std::size_t r = 0; r < results.size(); ++r) {
    std::size_t n = 0;
    for (const auto& phase : results[r].value("phases", json::array())) {
      if (!phase.contains("metrics")) continue;
      std::string name = phase.at("phase").get<std::string>();
      if (phase.at("stage").get<int>() > 0) name += str(" of stage ", phase.at("stage").get<int>());
      if (r == 0) phases.emplace_back();
      if (n >= phases.size() || (r > 0 && phases[n].front().first != name)) return {};
      phases[n++].emplace_back(name, phase.at("metrics"));
    }
    if (n != phases.size()) return {};
  }
  MetricRows means;
  for (const MetricRows& rows : phases) means.emplace_back(rows.front().first, mean_metrics(rows));
  return means;
}

Evaluation evaluate(const std::string& results, const std::string& truth) {
  if (!fs::is_directory(truth)) fail(Errc::io, truth, fs::exists(truth) ? "is not a folder" : "does not exist", " (`truth`)");
  Evaluation out;
  std::vector<json> measured;
  for (const std::string& folder : result_folders(results)) {
    const std::string stem = stem_of(folder), depth = (fs::path(truth) / (stem + "_depth.png")).string();
    if (!fs::exists(depth)) {
      out.skipped.push_back(stem);
      continue;
    }
    measured.push_back(read_result(folder));
    out.images.emplace_back(stem, measure_result(measured.back(), folder, depth));
  }
  out.phases = phase_means(measured);
  return out;
}

}  // namespace g2s
