#include "weights_converter/stylegan2_layout.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/error.h"
#include "weights_converter/text.h"

namespace g2s::convert {
namespace {

int side(int level) { return 4 << level; }

// "synthesis.8x8/Conv0_up"
std::string tensorflow_scope(int size) { return str(size, "x", size); }

std::string last_part(const std::string& prefix) {
  if (prefix.empty()) return prefix;
  const std::string path = prefix.substr(0, prefix.size() - 1);
  return path.substr(path.rfind('.') + 1);
}

bool has_part(const std::string& prefix, const std::string& part) { return ("." + prefix).find("." + part + ".") != std::string::npos; }

// The value that a prefix leads to. The networks of a TensorFlow pickle are a tuple.
const Value* value_at(const Scope& scope) {
  const Value* value = scope.checkpoint().root;
  std::string rest = scope.prefix();
  while (value && !rest.empty()) {
    const std::size_t dot = rest.find('.');
    const std::string part = rest.substr(0, dot);
    rest.erase(0, dot + 1);
    const Value* next = value->get(part);
    if (!next && value->items()) {
      const std::array<const char*, 3> usual = {"G", "D", "Gs"};
      next = value->at(static_cast<std::size_t>(std::find(usual.begin(), usual.end(), part) - usual.begin()));
    }
    value = next;
  }
  return value;
}

std::vector<StyleGan2Network> find_networks(const Checkpoint& checkpoint, const char* (*signature)(const StyleGan2Layout&)) {
  std::vector<StyleGan2Network> found;
  for (const StyleGan2Layout* layout : {&rosinality_layout(), &ada_layout(), &tensorflow_layout()})
    for (const std::string& prefix : prefixes_of(checkpoint, signature(*layout))) found.push_back({layout, Scope(checkpoint, prefix)});
  return found;
}

}  // namespace

const StyleGan2Layout& rosinality_layout() {
  static const StyleGan2Layout layout = {
      .title = "rosinality/stylegan2-pytorch", .modulated_rank = 5, .hwio = false, .upsampling_flipped = false, .style_bias = 0,
      .input = "input.input", .average = "latent_avg",
      .dense = [](int i) { return str("style.", i + 1); },
      .conv = [](int i) { return i == 0 ? std::string("conv1") : str("convs.", i - 1); },
      .rgb = [](int level) { return level == 0 ? std::string("to_rgb1") : str("to_rgbs.", level - 1); },
      .noise = [](int i) { return str("noises.noise_", i); },
      .weight = ".weight", .bias = ".bias",
      .conv_weight = ".conv.weight", .style_weight = ".conv.modulation.weight", .style_bias_name = ".conv.modulation.bias",
      .strength = ".noise.weight", .conv_bias = ".activate.bias", .rgb_bias = ".bias",
      .conditional = {}, .kernel_end = ".kernel",
      .from_rgb = [](int) { return std::string("convs.0"); },
      .block = [](int i, int) { return str("convs.", i); },
      .rgb_conv = ".0.weight", .rgb_conv_bias = ".1.bias",
      .conv0 = ".conv1.0.weight", .bias0 = ".conv1.1.bias", .conv1 = ".conv2.1.weight", .bias1 = ".conv2.2.bias", .skip = ".skip.1.weight",
      .final_conv = "final_conv.0.weight", .final_bias = "final_conv.1.bias", .linear0 = "final_linear.0.weight",
      .linear0_bias = "final_linear.0.bias", .linear1 = "final_linear.1.weight", .linear1_bias = "final_linear.1.bias"};
  return layout;
}

const StyleGan2Layout& ada_layout() {
  static const StyleGan2Layout layout = {
      .title = "NVlabs/stylegan2-ada-pytorch", .modulated_rank = 4, .hwio = false, .upsampling_flipped = false, .style_bias = 0,
      .input = "synthesis.b4.const", .average = "mapping.w_avg",
      .dense = [](int i) { return str("mapping.fc", i); },
      .conv = [](int i) { return str("synthesis.b", side(level_of_conv(i)), ".conv", i % 2 == 1 ? 0 : 1); },
      .rgb = [](int level) { return str("synthesis.b", side(level), ".torgb"); },
      .noise = [](int i) { return str("synthesis.b", side(level_of_conv(i)), ".conv", i % 2 == 1 ? 0 : 1, ".noise_const"); },
      .weight = ".weight", .bias = ".bias",
      .conv_weight = ".weight", .style_weight = ".affine.weight", .style_bias_name = ".affine.bias",
      .strength = ".noise_strength", .conv_bias = ".bias", .rgb_bias = ".bias",
      .conditional = {"mapping.embed.weight"}, .kernel_end = ".resample_filter",
      .from_rgb = [](int size) { return str("b", size, ".fromrgb"); },
      .block = [](int i, int size) { return str("b", size >> (i - 1)); },
      .rgb_conv = ".weight", .rgb_conv_bias = ".bias",
      .conv0 = ".conv0.weight", .bias0 = ".conv0.bias", .conv1 = ".conv1.weight", .bias1 = ".conv1.bias", .skip = ".skip.weight",
      .final_conv = "b4.conv.weight", .final_bias = "b4.conv.bias", .linear0 = "b4.fc.weight", .linear0_bias = "b4.fc.bias",
      .linear1 = "b4.out.weight", .linear1_bias = "b4.out.bias"};
  return layout;
}

const StyleGan2Layout& tensorflow_layout() {
  static const StyleGan2Layout layout = {
      .title = "NVlabs/stylegan2 (TensorFlow)", .modulated_rank = 4, .hwio = true, .upsampling_flipped = true, .style_bias = 1,
      .input = "synthesis.4x4/Const/const", .average = "dlatent_avg",
      .dense = [](int i) { return str("mapping.Dense", i); },
      .conv = [](int i) {
        return str("synthesis.", tensorflow_scope(side(level_of_conv(i))), i == 0 ? "/Conv" : i % 2 == 1 ? "/Conv0_up" : "/Conv1");
      },
      .rgb = [](int level) { return str("synthesis.", tensorflow_scope(side(level)), "/ToRGB"); },
      .noise = [](int i) { return str("synthesis.noise", i); },
      .weight = "/weight", .bias = "/bias",
      .conv_weight = "/weight", .style_weight = "/mod_weight", .style_bias_name = "/mod_bias",
      .strength = "/noise_strength", .conv_bias = "/bias", .rgb_bias = "/bias",
      .conditional = {"mapping.LabelConcat/weight", "mapping.LabelEmbed/weight", "LabelEmbed/weight"}, .kernel_end = nullptr,
      .from_rgb = [](int size) { return tensorflow_scope(size) + "/FromRGB"; },
      .block = [](int i, int size) { return tensorflow_scope(size >> (i - 1)); },
      .rgb_conv = "/weight", .rgb_conv_bias = "/bias",
      .conv0 = "/Conv0/weight", .bias0 = "/Conv0/bias", .conv1 = "/Conv1_down/weight", .bias1 = "/Conv1_down/bias", .skip = "/Skip/weight",
      .final_conv = "4x4/Conv/weight", .final_bias = "4x4/Conv/bias", .linear0 = "4x4/Dense0/weight", .linear0_bias = "4x4/Dense0/bias",
      .linear1 = "Output/weight", .linear1_bias = "Output/bias"};
  return layout;
}

std::vector<StyleGan2Network> find_generators(const Checkpoint& checkpoint) {
  return find_networks(checkpoint, [](const StyleGan2Layout& layout) { return layout.input; });
}

std::vector<StyleGan2Network> find_discriminators(const Checkpoint& checkpoint) {
  return find_networks(checkpoint, [](const StyleGan2Layout& layout) { return layout.linear0; });
}

const StyleGan2Network& choose_network(const std::vector<StyleGan2Network>& found, const Request& request, const char* what) {
  std::string names;
  for (const StyleGan2Network& n : found)
    names += str(names.empty() ? "" : ", ", n.scope.prefix().empty() ? "(top)" : printable(last_part(n.scope.prefix())));
  const std::string& path = found.at(0).scope.path();
  auto only = [&](const std::string& part) -> const StyleGan2Network* {
    const StyleGan2Network* match = nullptr;
    for (const StyleGan2Network& n : found) {
      if (!has_part(n.scope.prefix(), part)) continue;
      if (match) fail(Errc::format, path, "has several ", what, "s called ", printable(part));
      match = &n;
    }
    return match;
  };
  if (!request.network.empty()) {
    if (const StyleGan2Network* wanted = only(request.network)) return *wanted;
    fail(Errc::invalid_argument, path, "has no ", what, " called ", printable(request.network), ", but: ", names);
  }
  for (const char* usual : {"g_ema", "G_ema", "Gs"})
    if (const StyleGan2Network* n = only(usual)) return *n;
  if (found.size() > 1) fail(Errc::invalid_argument, path, "has several ", what, "s: ", names, "; say which");
  return found[0];
}

const Value* network_setting(const StyleGan2Network& network, const std::string& tensorflow_name) {
  const Value* object = value_at(network.scope);
  const Value* settings = object ? object->get("static_kwargs") : nullptr;
  return settings ? settings->get(tensorflow_name) : nullptr;
}

const Value* ada_module(const StyleGan2Network& network, const std::vector<std::string>& path) {
  if (network.layout != &ada_layout()) return nullptr;
  const Value* value = value_at(network.scope);
  for (const std::string& name : path) {
    if (value) value = value->get("_modules");
    if (value) value = value->get(name);
  }
  return value;
}

std::optional<double> number_of(const Value* value) {
  if (!value) return std::nullopt;
  if (const std::int64_t* i = value->integer()) return static_cast<double>(*i);
  if (value->kind == Value::Kind::real) return std::get<double>(value->data);
  if (value->tensor() && value->tensor()->numel() == 1) return read_values(*value->tensor()).at(0);
  return std::nullopt;
}

std::string channel_multiplier(const std::vector<std::int64_t>& widths) {
  constexpr std::size_t from = 4;  // 64 pixels
  if (widths.size() <= from) return {};
  const double m = static_cast<double>(widths[from]) / 256;
  for (std::size_t i = from; i < widths.size(); ++i)
    if (static_cast<double>(widths[i]) != m * 256 / static_cast<double>(1 << (i - from))) return {};
  return str(m);
}

std::string joined(const std::vector<std::int64_t>& numbers) {
  std::string out;
  for (std::int64_t n : numbers) out += str(out.empty() ? "" : " ", n);
  return out;
}

void note_unused(const StyleGan2Network& network, ConversionPlan& plan) {
  std::size_t unused = 0;
  std::string first;
  for (const std::string& name : network.scope.names()) {
    const std::string full = network.scope.prefix() + name;
    const bool used = std::any_of(plan.tensors.begin(), plan.tensors.end(), [&](const OutputTensor& t) { return t.parts[0].name == full; });
    // Kernels are known, and single numbers are settings of modules: gains, the level of detail.
    if (used || (network.layout->kernel_end && ends_with(name, network.layout->kernel_end)) || network.scope.find(name)->shape.empty()) continue;
    if (unused++ == 0) first = full;
  }
  if (unused > 0) plan.notes.push_back(str(unused, " tensors are not used, the first being ", printable(first)));
}

}  // namespace g2s::convert
