#include "models/stylegan2_generator.h"

#include <cmath>
#include <utility>

#include "engine/autograd.h"
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

std::string conv_name(int i) { return i == 0 ? "conv1" : str("convs.", i - 1); }
std::string rgb_name(int i) { return i == 0 ? "to_rgb1" : str("to_rgbs.", i - 1); }
int level_of_conv(int i) { return (i + 1) / 2; }  // conv1 works at level 0; two convolutions at every further one

void add_modulated(ParameterMap& map, const std::string& name, const GeneratorConfig& config, std::int64_t out, std::int64_t in, std::int64_t k) {
  map.add(name + ".weight", ParameterKind::conv, Tensor::zeros({1, out, k, k, in}));
  map.add(name + ".modulation.weight", ParameterKind::plain, Tensor::zeros({in, config.style_dim}));
  map.add(name + ".modulation.bias", ParameterKind::plain, Tensor::zeros({in}));
}

Tensor pixel_norm(const Tensor& x) { return x * rsqrt(mean(square(x), {1}, true) + 1e-8); }

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
  ParameterMap map;
  for (int i = 1; i <= config.mapping_layers; ++i) {
    map.add(str("style.", i, ".weight"), ParameterKind::plain, Tensor::zeros({config.style_dim, config.style_dim}));
    map.add(str("style.", i, ".bias"), ParameterKind::plain, Tensor::zeros({config.style_dim}));
  }
  map.add("input.input", ParameterKind::map, Tensor::zeros({1, 4, 4, config.channels[0]}));
  int convs = 2 * config.levels() - 1;
  for (int i = 0; i < convs; ++i) {
    int level = level_of_conv(i), from = i % 2 == 1 ? level - 1 : level;
    add_modulated(map, conv_name(i) + ".conv", config, config.channels[level], config.channels[from], kernel);
    map.add(conv_name(i) + ".noise.weight", ParameterKind::plain, Tensor::zeros({1}));
    map.add(conv_name(i) + ".activate.bias", ParameterKind::plain, Tensor::zeros({config.channels[level]}));
  }
  for (int i = 0; i < config.levels(); ++i) {
    add_modulated(map, rgb_name(i) + ".conv", config, 3, config.channels[i], 1);
    map.add(rgb_name(i) + ".bias", ParameterKind::map, Tensor::zeros({1, 1, 1, 3}));
  }
  for (int i = 0; i < convs; ++i) {
    std::int64_t side = std::int64_t{4} << level_of_conv(i);
    map.add(str("noises.noise_", i), ParameterKind::map, Tensor::zeros({1, side, side, 1}));
  }
  if (config.latent_avg) map.add("latent_avg", ParameterKind::plain, Tensor::zeros({config.style_dim}));
  return map;
}

StyleGan2Generator::StyleGan2Generator(const GeneratorConfig& config, ParameterMap parameters, WeightMode mode)
    : config_(config), weights_(std::move(parameters), mode) {
  double linear_scale = mapping_lr / std::sqrt(static_cast<double>(config.style_dim));
  for (int i = 1; i <= config.mapping_layers; ++i)
    mapping_.push_back({weights_.add(str("style.", i, ".weight"), linear_scale), weights_.add(str("style.", i, ".bias"), mapping_lr)});
  input_ = weights_.add("input.input");
  for (int i = 0; i < 2 * config.levels() - 1; ++i) convs_.push_back(add_styled(conv_name(i), i));
  for (int i = 0; i < config.levels(); ++i) to_rgbs_.push_back(add_to_rgb(rgb_name(i)));
  if (config.latent_avg) latent_avg_ = weights_.parameters()["latent_avg"].detach().reshape({1, config.style_dim});
  weights_.finish();
}

StyleGan2Generator StyleGan2Generator::load(const SafetensorsFile& file, const std::string& prefix) {
  GeneratorConfig config = generator_config(file, prefix);
  ParameterMap parameters = generator_parameters(config);
  parameters.load(file, prefix);
  return StyleGan2Generator(config, std::move(parameters));
}

StyleGan2Generator::Modulated StyleGan2Generator::add_modulated(const std::string& name) {
  const Shape shape = weights_.parameters()[name + ".weight"].shape();  // [1,O,k,k,C]
  double fan_in = static_cast<double>(shape[2] * shape[3] * shape[4]);
  auto drop_first = [](const Tensor& w) { return w.reshape({w.dim(1), w.dim(2), w.dim(3), w.dim(4)}); };
  return {weights_.add(name + ".weight", 1 / std::sqrt(fan_in), drop_first),
          weights_.add(name + ".modulation.weight", 1 / std::sqrt(static_cast<double>(config_.style_dim))),
          weights_.add(name + ".modulation.bias")};
}

StyleGan2Generator::StyledConv StyleGan2Generator::add_styled(const std::string& name, int index) {
  return {add_modulated(name + ".conv"), weights_.add(name + ".noise.weight"), weights_.add(name + ".activate.bias"),
          weights_.parameters()[str("noises.noise_", index)].detach()};
}

StyleGan2Generator::ToRgb StyleGan2Generator::add_to_rgb(const std::string& name) {
  return {add_modulated(name + ".conv"), weights_.add(name + ".bias", 1, [](const Tensor& b) { return b.reshape({3}); })};
}

Tensor StyleGan2Generator::mapping_range(const Tensor& x, int first, int last) const {
  check(x.rank() == 2 && x.dim(1) == config_.style_dim, op, "the mapping takes [B,", config_.style_dim, "], got ", describe(x));
  if (first < 0 || last > mapping_modules() || first > last)
    fail(Errc::invalid_argument, op, "mapping modules ", first, " to ", last, " of ", mapping_modules());
  Tensor h = x;
  for (int i = first; i < last; ++i) {
    if (i == 0) {
      h = pixel_norm(h);
      continue;
    }
    const Linear& layer = mapping_[static_cast<std::size_t>(i - 1)];
    h = bias_act(matmul(h, weights_.get(layer.weight), false, true), {.bias = weights_.get(layer.bias), .gain = std::sqrt(2.0)});
  }
  return h;
}

Tensor StyleGan2Generator::mean_latent(const Tensor& z) const { return mean(mapping(z), {0}, true); }

Tensor StyleGan2Generator::mean_latent(Random& random, std::int64_t samples) const {
  NoGrad no_grad;
  return mean_latent(random.normal({samples, config_.style_dim}));
}

Tensor StyleGan2Generator::truncate(const Tensor& w, const Tensor& mean, double psi) {
  return mean.reshape({mean.dim(-1)}) * (1 - psi) + w * psi;
}

Tensor StyleGan2Generator::style(const Modulated& layer, const Tensor& latent) const {
  return bias_act(matmul(latent, weights_.get(layer.modulation_weight), false, true), {.bias = weights_.get(layer.modulation_bias), .slope = 1});
}

Tensor StyleGan2Generator::styled_conv(const StyledConv& layer, const Tensor& x, const Tensor& latent, bool upsample) const {
  Tensor w = weights_.get(layer.conv.weight), s = style(layer.conv, latent);
  const BiasAct act{.scale = demodulation(w, s),
                    .noise = layer.noise,
                    .noise_weight = weights_.get(layer.noise_weight),
                    .bias = weights_.get(layer.bias),
                    .gain = std::sqrt(2.0)};
  return modulated_conv2d_bias_act(x, w, s, act, {.upsample = upsample});
}

Tensor StyleGan2Generator::to_rgb(const ToRgb& layer, const Tensor& x, const Tensor& latent, const Tensor& skip) const {
  const BiasAct act{.bias = weights_.get(layer.bias), .slope = 1};
  Tensor rgb = modulated_conv2d_bias_act(x, weights_.get(layer.conv.weight), style(layer.conv, latent), act);
  if (!skip) return rgb;
  return rgb + upfirdn2d(skip, fir_1331(), 4, 2, 1, {2, 1, 2, 1});
}

std::vector<Tensor> StyleGan2Generator::split_latents(const Tensor& w) const {
  std::int64_t dim = config_.style_dim, count = config_.latents();
  bool one = w.rank() == 2;
  check((one && w.dim(1) == dim) || (w.rank() == 3 && w.dim(1) == count && w.dim(2) == dim), op, "the synthesis takes [B,", dim, "] or [B,",
        count, ",", dim, "], got ", describe(w));
  std::vector<Tensor> latents(static_cast<std::size_t>(count), w);
  for (std::int64_t i = 0; i < count && !one; ++i)
    latents[static_cast<std::size_t>(i)] = slice(w, 1, i, i + 1).reshape({w.dim(0), dim});
  return latents;
}

Tensor StyleGan2Generator::synthesis(const Tensor& w) const {
  std::vector<Tensor> latents = split_latents(w);
  Tensor input = weights_.get(input_);
  Tensor x = broadcast_to(input, {w.dim(0), 4, 4, input.dim(3)});
  Tensor rgb;
  std::size_t conv = 0;
  for (std::size_t level = 0; level < to_rgbs_.size(); ++level) {
    // Latent k feeds convolution k; each level's colours use the latent of the next level's first convolution.
    if (level > 0) {
      x = styled_conv(convs_[conv], x, latents[conv], true);
      ++conv;
    }
    x = styled_conv(convs_[conv], x, latents[conv], false);
    ++conv;
    rgb = to_rgb(to_rgbs_[level], x, latents[conv], rgb);
  }
  return rgb;
}

}  // namespace g2s
