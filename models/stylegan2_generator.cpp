#include "models/stylegan2_generator.h"

#include <cmath>
#include <utility>

#include "kernels/bias_act/bias_act.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/matmul/matmul.h"
#include "kernels/modulated_conv/modulated_conv.h"
#include "kernels/reduce/reduce.h"
#include "kernels/shape/shape.h"
#include "kernels/upfirdn/upfirdn.h"

namespace g2s {
namespace {

constexpr const char* op = "stylegan2_generator";
constexpr double mapping_lr = 0.01;  // the learning-rate multiplier of the mapping's layers, part of what they compute
constexpr std::int64_t kernel = 3;

std::string style_name(int i) { return "style." + std::to_string(i); }
std::string conv_name(int i) { return i == 0 ? "conv1" : "convs." + std::to_string(i - 1); }
std::string rgb_name(int i) { return i == 0 ? "to_rgb1" : "to_rgbs." + std::to_string(i - 1); }
std::string noise_name(int i) { return "noises.noise_" + std::to_string(i); }
// conv1 works at level 0; two convolutions at every further one, of which the first enlarges.
int convolutions(const GeneratorConfig& config) { return 2 * config.levels() - 1; }
int level_of_conv(int i) { return (i + 1) / 2; }
bool upsamples(int i) { return i % 2 == 1; }

// A convolution's weights [1,O,k,k,C], and the linear layer that gives its style.
void add_modulated(std::vector<ScaledWeight>& list, const std::string& name, std::int64_t style_dim, std::int64_t out, std::int64_t in, std::int64_t k) {
  auto drop_first = [](const Tensor& w) { return w.reshape({w.dim(1), w.dim(2), w.dim(3), w.dim(4)}); };
  list.push_back({name + ".weight", ParameterKind::conv, {1, out, k, k, in}, 1 / std::sqrt(static_cast<double>(k * k * in)), drop_first});
  list.push_back({name + ".modulation.weight", ParameterKind::plain, {in, style_dim}, 1 / std::sqrt(static_cast<double>(style_dim))});
  list.push_back({name + ".modulation.bias", ParameterKind::plain, {in}});
}

// All learned ones, in the order of checkpoints.
std::vector<ScaledWeight> weights_of(const GeneratorConfig& config) {
  std::vector<ScaledWeight> out;
  const std::int64_t dim = config.style_dim;
  for (int i = 1; i <= config.mapping_layers; ++i) {
    out.push_back({style_name(i) + ".weight", ParameterKind::plain, {dim, dim}, mapping_lr / std::sqrt(static_cast<double>(dim))});
    out.push_back({style_name(i) + ".bias", ParameterKind::plain, {dim}, mapping_lr});
  }
  out.push_back({"input.input", ParameterKind::map, {1, 4, 4, config.channels[0]}});
  for (int i = 0; i < convolutions(config); ++i) {
    const int level = level_of_conv(i), from = upsamples(i) ? level - 1 : level;
    add_modulated(out, conv_name(i) + ".conv", dim, config.channels[level], config.channels[from], kernel);
    out.push_back({conv_name(i) + ".noise.weight", ParameterKind::plain, {1}});
    out.push_back({conv_name(i) + ".activate.bias", ParameterKind::plain, {config.channels[level]}});
  }
  for (int i = 0; i < config.levels(); ++i) {
    add_modulated(out, rgb_name(i) + ".conv", dim, 3, config.channels[i], 1);
    out.push_back({rgb_name(i) + ".bias", ParameterKind::map, {1, 1, 1, 3}, 1, [](const Tensor& b) { return b.reshape({3}); }});
  }
  return out;
}

}  // namespace

GeneratorConfig generator_config(const SafetensorsFile& file, const std::string& prefix) {
  GeneratorConfig config;
  config.channels = {stored_shape(file, prefix + "input.input", 4)[1]};
  for (int i = 1; file.contains(str(prefix, conv_name(i), ".conv.weight")); i += 2)
    config.channels.push_back(stored_shape(file, str(prefix, conv_name(i), ".conv.weight"), 5)[1]);
  config.size = 4 << (config.levels() - 1);
  config.style_dim = stored_shape(file, prefix + "style.1.weight", 2)[1];
  config.mapping_layers = 0;
  while (file.contains(str(prefix, "style.", config.mapping_layers + 1, ".weight"))) ++config.mapping_layers;
  config.latent_avg = file.contains(prefix + "latent_avg");
  return config;
}

ParameterMap generator_parameters(const GeneratorConfig& config) {
  if (config.channels.empty() || config.size != 4 << (config.levels() - 1))
    fail(Errc::invalid_argument, op, "size ", config.size, " does not go with ", config.levels(), " levels of channels from 4 on");
  ParameterMap map = zero_parameters(weights_of(config));
  for (int i = 0; i < convolutions(config); ++i) {
    const std::int64_t side = std::int64_t{4} << level_of_conv(i);
    map.add(noise_name(i), ParameterKind::map, Tensor::zeros({1, side, side, 1}));
  }
  if (config.latent_avg) map.add("latent_avg", ParameterKind::plain, Tensor::zeros({config.style_dim}));
  return map;
}

StyleGan2Generator::StyleGan2Generator(const GeneratorConfig& config, ParameterMap parameters, WeightMode mode) : config_(config) {
  for (int i = 0; i < convolutions(config); ++i) noises_.push_back(parameters[noise_name(i)].detach());
  if (config.latent_avg) latent_avg_ = parameters["latent_avg"].detach().reshape({1, config.style_dim});
  weights_ = ScaledWeights(weights_of(config), std::move(parameters), mode);
}

StyleGan2Generator StyleGan2Generator::load(const SafetensorsFile& file, const std::string& prefix) {
  GeneratorConfig config = generator_config(file, prefix);
  ParameterMap parameters = generator_parameters(config);
  parameters.load(file, prefix);
  return StyleGan2Generator(config, std::move(parameters));
}

NetworkMemory generator_memory(const GeneratorConfig& g) {
  auto width = [&](int level) { return static_cast<double>(g.channels[static_cast<std::size_t>(level)]); };
  auto weights = [](double in, double out) { return in * out * kernel * kernel; };
  double stored = static_cast<double>(g.style_dim * g.style_dim * g.mapping_layers), activations = 0;
  for (int level = 0; level < g.levels(); ++level) {
    const double side = 4 << level, out = width(level);
    stored += weights(out, out) + (level ? weights(width(level - 1), out) : 0);
    activations += (level ? 2 : 1) * side * side * out;
  }
  return {sizeof(float) * stored, sizeof(float) * activations};
}

std::pair<Tensor, Tensor> StyleGan2Generator::mapping_layer(int k) const {
  return {weights_.get(style_name(k) + ".weight"), weights_.get(style_name(k) + ".bias")};
}

Tensor StyleGan2Generator::style(const std::string& conv, const Tensor& latent) const {
  const Tensor y = matmul(latent, weights_.get(conv + ".modulation.weight"), false, true);
  return bias_act(y, {.bias = weights_.get(conv + ".modulation.bias"), .slope = 1});
}

Tensor StyleGan2Generator::styled_conv(int i, const Tensor& x, const Tensor& latent) const {
  const std::string name = conv_name(i);
  const Tensor w = weights_.get(name + ".conv.weight"), s = style(name + ".conv", latent);
  const BiasAct act{.scale = demodulation(w, s),
                    .noise = noises_[static_cast<std::size_t>(i)],
                    .noise_weight = weights_.get(name + ".noise.weight"),
                    .bias = weights_.get(name + ".activate.bias"),
                    .gain = std::sqrt(2.0)};
  return modulated_conv2d_bias_act(x, w, s, act, {.upsample = upsamples(i)});
}

Tensor StyleGan2Generator::to_rgb(int level, const Tensor& x, const Tensor& latent, const Tensor& skip) const {
  const std::string name = rgb_name(level);
  const BiasAct act{.bias = weights_.get(name + ".bias"), .slope = 1};
  Tensor rgb = modulated_conv2d_bias_act(x, weights_.get(name + ".conv.weight"), style(name + ".conv", latent), act);
  if (!skip) return rgb;
  return rgb + upfirdn2d(skip, fir_1331(), 4, 2, 1, {2, 1, 2, 1});
}

Tensor StyleGan2Generator::draw(const std::vector<Tensor>& latents) const {
  Tensor input = weights_.get("input.input"), rgb;
  Tensor x = broadcast_to(input, {latents[0].dim(0), 4, 4, input.dim(3)});
  for (int i = 0; i < convolutions(config_); ++i) {
    // Latent i feeds convolution i; each level's colours use the latent of the next level's first convolution.
    x = styled_conv(i, x, latents[static_cast<std::size_t>(i)]);
    if (!upsamples(i)) rgb = to_rgb(level_of_conv(i), x, latents[static_cast<std::size_t>(i + 1)], rgb);
  }
  return rgb;
}

}  // namespace g2s
