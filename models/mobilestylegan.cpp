#include "models/mobilestylegan.h"

#include <utility>

#include "kernels/conv/conv.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/haar/haar.h"
#include "kernels/matmul/matmul.h"
#include "kernels/modulated_conv/modulated_conv.h"
#include "kernels/reduce/reduce.h"
#include "kernels/separable_conv/separable_conv.h"
#include "kernels/shape/shape.h"

namespace g2s {
namespace {

constexpr const char* op = "mobilestylegan";
constexpr std::int64_t colours = 3, bands = 4;  // of a step of the wavelet

std::string mapping_name(int k) { return str("mapping.", k - 1); }
std::string block_name(int i) { return str("layers.", i); }

// The depthwise kernel of a checkpoint [C,1,3,3], which was read as [C,3,3,1], as the operator wants it.
Tensor taps_first(const Tensor& w) { return permute(w.reshape({w.dim(0), 9}), {1, 0}).reshape({3, 3, w.dim(0)}); }

struct Layer {
  std::string name;
  std::int64_t in, out, side;
  bool separable;
};

// The convolutions of the trunk, in order.
std::vector<Layer> layers_of(const MobileStyleGanConfig& c) {
  std::vector<Layer> all = {{"conv1", c.first, c.first, 4, false}};
  std::int64_t in = c.first;
  for (int i = 0; i < c.blocks(); ++i) {
    const std::int64_t out = c.channels[static_cast<std::size_t>(i)], side = std::int64_t{8} << i;
    all.push_back({block_name(i) + ".conv1", in / bands, out, side, true});
    all.push_back({block_name(i) + ".conv2", out, out, side, true});
    in = out;
  }
  return all;
}

std::string image_name(const MobileStyleGanConfig& c) { return block_name(c.blocks() - 1) + ".to_img"; }

void add_style(std::vector<ScaledWeight>& list, const std::string& name, std::int64_t channels, std::int64_t style_dim, double scale) {
  list.push_back({name + ".modulation.weight", ParameterKind::plain, {channels, style_dim}, scale});
  list.push_back({name + ".modulation.bias", ParameterKind::plain, {channels}, scale});
}

// All of them; `scale` tells what a convolution's style is multiplied by.
template <class Scale>
std::vector<ScaledWeight> weights_of(const MobileStyleGanConfig& c, Scale&& scale) {
  std::vector<ScaledWeight> out;
  for (int k = 1; k <= c.mapping_layers; ++k) {
    out.push_back({mapping_name(k) + ".weight", ParameterKind::plain, {c.style_dim, c.style_dim}});
    out.push_back({mapping_name(k) + ".bias", ParameterKind::plain, {c.style_dim}});
  }
  out.push_back({"input.input", ParameterKind::map, {1, 4, 4, c.first}});
  for (const Layer& layer : layers_of(c)) {
    const std::string conv = layer.name + ".conv";
    if (layer.separable) {
      out.push_back({conv + ".weight_dw", ParameterKind::conv, {layer.in, 3, 3, 1}, 1, taps_first});
      out.push_back({conv + ".weight_permute", ParameterKind::conv, {layer.out, 1, 1, layer.in}});
    } else {
      out.push_back({conv + ".weight", ParameterKind::conv, {layer.out, 3, 3, layer.in}});
    }
    add_style(out, conv, layer.in, c.style_dim, scale(conv));
    out.push_back({layer.name + ".noise", ParameterKind::map, {1, layer.side, layer.side, 1}});
    out.push_back({layer.name + ".bias", ParameterKind::plain, {layer.out}});
  }
  for (int i = 0; i < c.blocks(); ++i)
    add_style(out, block_name(i) + ".up", i ? c.channels[static_cast<std::size_t>(i - 1)] : c.first, c.style_dim, 1);
  const std::string image = image_name(c), conv = image + ".conv";
  out.push_back({conv + ".weight", ParameterKind::conv, {bands * colours, 1, 1, c.channels.back()}});
  add_style(out, conv, c.channels.back(), c.style_dim, scale(conv));
  out.push_back({image + ".bias", ParameterKind::plain, {bands * colours}});
  return out;
}

std::vector<std::string> scaled_convolutions(const MobileStyleGanConfig& c) {
  std::vector<std::string> names;
  for (const Layer& layer : layers_of(c)) names.push_back(layer.name + ".conv");
  names.push_back(image_name(c) + ".conv");
  return names;
}

// `one` is the noise's strength, which is inside it.
BiasAct activation(const ScaledWeights& weights, const std::string& layer, const Tensor& one) {
  return {.noise = weights.get(layer + ".noise"), .noise_weight = one, .bias = weights.get(layer + ".bias")};
}

}  // namespace

MobileStyleGanConfig mobilestylegan_config(const SafetensorsFile& file, const std::string& prefix) {
  MobileStyleGanConfig config;
  config.style_dim = stored_shape(file, prefix + "mapping.0.weight", 2)[0];
  config.mapping_layers = 0;
  while (file.contains(prefix + mapping_name(config.mapping_layers + 1) + ".weight")) ++config.mapping_layers;
  config.first = stored_shape(file, prefix + "input.input", 4)[1];
  auto pointwise = [&](int i) { return str(prefix, block_name(i), ".conv2.conv.weight_permute"); };
  while (file.contains(pointwise(config.blocks()))) config.channels.push_back(stored_shape(file, pointwise(config.blocks()), 4)[0]);
  if (config.channels.empty()) fail(Errc::format, file.path(), "has no tensor ", pointwise(0));
  return config;
}

ParameterMap mobilestylegan_parameters(const MobileStyleGanConfig& config) {
  if (config.channels.empty() || config.blocks() > 20) fail(Errc::invalid_argument, op, config.blocks(), " blocks");
  ParameterMap map = zero_parameters(weights_of(config, [](const std::string&) { return 1.0; }));
  for (const std::string& conv : scaled_convolutions(config)) map.add(conv + ".scale", ParameterKind::plain, Tensor::zeros({}));
  return map;
}

MobileStyleGan::MobileStyleGan(const MobileStyleGanConfig& config, ParameterMap parameters) : config_(config) {
  one_ = Tensor::full({1}, 1, parameters["input.input"].dtype()).set_constant();
  auto scale = [&](const std::string& conv) { return parameters[conv + ".scale"].item(); };
  std::vector<ScaledWeight> weights = weights_of(config, scale);
  weights_ = ScaledWeights(weights, std::move(parameters), WeightMode::frozen);
}

MobileStyleGan MobileStyleGan::load(const SafetensorsFile& file, const std::string& prefix) {
  MobileStyleGanConfig config = mobilestylegan_config(file, prefix);
  ParameterMap parameters = mobilestylegan_parameters(config);
  parameters.load(file, prefix);
  return MobileStyleGan(config, std::move(parameters));
}

NetworkMemory MobileStyleGan::memory() const {
  double weights = static_cast<double>(config_.style_dim * config_.style_dim * config_.mapping_layers), activations = 0;
  for (const Layer& layer : layers_of(config_)) {
    const std::int64_t taps = layer.separable ? 1 : 9;
    weights += static_cast<double>(layer.in * layer.out * taps + layer.in * config_.style_dim);
    // Its input comes from the wavelet, or is the layer before; its output is kept.
    const bool after_wavelet = layer.separable && layer.name.ends_with("conv1");
    activations += static_cast<double>(layer.side * layer.side * (layer.out + (after_wavelet ? layer.in : 0)));
  }
  activations += 2.0 * config_.size() * config_.size() * colours;
  return {sizeof(float) * weights, sizeof(float) * activations};
}

std::pair<Tensor, Tensor> MobileStyleGan::mapping_layer(int k) const {
  return {weights_.get(mapping_name(k) + ".weight"), weights_.get(mapping_name(k) + ".bias")};
}

Tensor MobileStyleGan::style(const std::string& conv, const Tensor& latent) const {
  const Tensor y = matmul(latent, weights_.get(conv + ".modulation.weight"), false, true);
  return bias_act(y, {.bias = weights_.get(conv + ".modulation.bias"), .slope = 1});
}

Tensor MobileStyleGan::styled(const std::string& layer, const Tensor& x, const Tensor& latent) const {
  const std::string conv = layer + ".conv";
  return separable_conv2d_bias_act(x, style(conv, latent), weights_.get(conv + ".weight_dw"), weights_.get(conv + ".weight_permute"),
                                   activation(weights_, layer, one_));
}

Tensor MobileStyleGan::draw(const std::vector<Tensor>& latents) const {
  auto latent = [&](int i) { return latents[static_cast<std::size_t>(i)]; };
  const Tensor input = weights_.get("input.input");
  Tensor x = broadcast_to(input, {latent(0).dim(0), 4, 4, input.dim(3)});
  x = modulated_conv2d_bias_act(x, weights_.get("conv1.conv.weight"), style("conv1.conv", latent(0)), activation(weights_, "conv1", one_));
  for (int i = 0; i < config_.blocks(); ++i) {
    const std::string block = block_name(i);
    x = haar_synthesis_modulated(x, style(block + ".up", latent(3 * i + 1)));
    x = styled(block + ".conv1", x, latent(3 * i + 1));
    x = styled(block + ".conv2", x, latent(3 * i + 2));
  }
  const std::string name = image_name(config_);
  const BiasAct act{.bias = weights_.get(name + ".bias"), .slope = 1};
  return haar_synthesis(
      modulated_conv2d_bias_act(x, weights_.get(name + ".conv.weight"), style(name + ".conv", latent(3 * config_.blocks())), act));
}

}  // namespace g2s
