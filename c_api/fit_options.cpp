#include "c_api/fit_options.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

namespace g2s::capi {
namespace {

using nlohmann::json;

std::string text_of(const char* option, const json& value) {
  if (!value.is_string()) fail(Errc::invalid_argument, option, "must be a text, is ", value.type_name());
  return value.get<std::string>();
}

std::uint64_t seed_of(const char* option, const json& value) {
  if (!value.is_number_unsigned()) fail(Errc::invalid_argument, option, "must be a whole number from 0 to 2^64 - 1");
  return value.get<std::uint64_t>();
}

int whole_of(const char* option, const json& value) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > 65536) fail(Errc::invalid_argument, option, "must be a whole number from 0 to 65536");
  return value.get<int>();
}

double number_of(const char* option, const json& value) {
  if (!value.is_number()) fail(Errc::invalid_argument, option, "must be a number, is ", value.type_name());
  return value.get<double>();
}

bool truth_of(const char* option, const json& value) {
  if (!value.is_boolean()) fail(Errc::invalid_argument, option, "must be true or false, is ", value.type_name());
  return value.get<bool>();
}

// Numbers in lists of lists: appends them to `values`, and to `shape` the lengths of the lists, which must be alike at each depth.
void append(const json& list, std::size_t depth, std::vector<std::int64_t>& shape, std::vector<float>& values) {
  auto refuse = [](const char* why) {
    fail(Errc::invalid_argument, "latent", "must be a list of numbers, or of lists of as many numbers each", why);
  };
  if (!list.is_array()) {
    if (!list.is_number() || depth == 0 || depth != shape.size()) refuse("");
    const double value = list.get<double>();
    if (!(std::abs(value) <= std::numeric_limits<float>::max())) refuse("; one is too large");
    values.push_back(static_cast<float>(value));
    return;
  }
  const auto length = static_cast<std::int64_t>(list.size());
  if (depth == 3 || length == 0) refuse(depth == 3 ? "; its lists are too deep" : "; it has an empty list");
  if (depth == shape.size() && values.empty()) shape.push_back(length);
  else if (depth >= shape.size() || shape[depth] != length) refuse("; its lists differ");
  for (const json& part : list) append(part, depth + 1, shape, values);
}

// [D] and [1,D] are a latent for all layers, [L,D] and [1,L,D] have one for each.
Tensor latent_of(const json& value) {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
  append(value, 0, shape, values);
  if (shape.size() == 1 || (shape.size() == 2 && shape[0] > 1)) shape.insert(shape.begin(), 1);
  if (shape[0] != 1) fail(Errc::invalid_argument, "latent", "holds ", shape[0], " latents for one picture");
  return Tensor::from(values, Shape(shape), Device{});
}

void set(FitRequest& request, const std::string& name, const json& value) {
  ReconstructionSettings& s = request.settings;
  if (name == "preset") s.preset = text_of("preset", value);
  else if (name == "quality") s.quality = quality_from_name(text_of("quality", value));
  else if (name == "crop") s.crop = crop_mode_from_name(text_of("crop", value));
  else if (name == "align") s.align = text_of("align", value);
  else if (name == "face") s.face = text_of("face", value);
  else if (name == "seed") s.seed = seed_of("seed", value);
  else if (name == "views") s.views = text_of("views", value);
  else if (name == "size") s.size = whole_of("size", value);
  else if (name == "scale") s.scale = number_of("scale", value);
  else if (name == "force") request.force = truth_of("force", value);
  else if (name == "weights") request.weights = text_of("weights", value);
  else if (name == "latent") request.latent = latent_of(value);
  else
    fail(Errc::invalid_argument, "options", "there is no option '", name,
         "'; there are preset, quality, crop, align, face, size, views, seed, scale, weights, latent and force");
}

}  // namespace

FitRequest read_fit_options(const char* text) {
  FitRequest request;
  if (!text) return request;
  json options;
  try {
    options = json::parse(text);
  } catch (const json::exception& e) {
    fail(Errc::format, "options", "are not JSON: ", e.what());
  }
  if (!options.is_object()) fail(Errc::format, "options", "must be a JSON object, are ", options.type_name());
  for (const auto& [name, value] : options.items()) set(request, name, value);
  return request;
}

}  // namespace g2s::capi
