#include "models/stylegan2_discriminator.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/bias_act/bias_act.h"
#include "kernels/conv/conv.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/matmul/matmul.h"
#include "kernels/reduce/reduce.h"
#include "kernels/shape/shape.h"
#include "kernels/upfirdn/upfirdn.h"

namespace g2s {
namespace {

constexpr const char* op = "stylegan2_discriminator";
constexpr std::int64_t last_side = 4;
constexpr std::int64_t stddev_group = 4;

std::string block_name(int i) { return "convs." + std::to_string(i); }

BiasAct activation(const Tensor& bias, double gain) { return {.bias = bias, .gain = gain}; }

// One more channel: the standard deviation over a group of images, averaged over everything else (Karras et al. 2018).
Tensor append_stddev(const Tensor& x) {
  std::int64_t batch = x.dim(0), group = std::min(batch, stddev_group);
  check(batch % group == 0, op, "a batch of ", batch, " does not divide into groups of ", group);
  // Member g of group m is image g * (batch / group) + m.
  Tensor grouped = x.reshape({group, batch / group, x.dim(1) * x.dim(2) * x.dim(3)});
  Tensor variance = mean(square(grouped - mean(grouped, {0}, true)), {0}, true);
  Tensor stddev = mean(sqrt(variance + 1e-8), {2}, true);
  Tensor spread = broadcast_to(stddev, {group, batch / group, x.dim(1) * x.dim(2)});
  return concat({x, spread.reshape({batch, x.dim(1), x.dim(2), 1})}, 3);
}

// In the order of checkpoints.
std::vector<ScaledWeight> weights_of(const DiscriminatorConfig& config) {
  std::vector<ScaledWeight> out;
  auto conv = [&](const std::string& name, std::int64_t o, std::int64_t in, std::int64_t k, double gain = 1) {
    out.push_back({name, ParameterKind::conv, {o, k, k, in}, gain / std::sqrt(static_cast<double>(k * k * in))});
  };
  auto plain = [&](const std::string& name, const Shape& shape, double scale = 1) { out.push_back({name, ParameterKind::plain, shape, scale}); };
  conv("convs.0.0.weight", config.channels[0], 3, 1);
  plain("convs.0.1.bias", {config.channels[0]});
  for (int i = 1; i <= config.blocks(); ++i) {
    const std::int64_t in = config.channels[static_cast<std::size_t>(i - 1)], o = config.channels[static_cast<std::size_t>(i)];
    const std::string name = block_name(i);
    conv(name + ".conv1.0.weight", in, in, 3);
    plain(name + ".conv1.1.bias", {in});
    conv(name + ".conv2.1.weight", o, in, 3);
    plain(name + ".conv2.2.bias", {o});
    // The division of a block's sum by sqrt 2 is taken into the skip's weight; the main branch's activation gain of sqrt 2 cancels it.
    conv(name + ".skip.1.weight", o, in, 1, std::sqrt(0.5));
  }
  const std::int64_t width = config.final_width(), pixels = last_side * last_side;
  conv("final_conv.0.weight", width, config.channels.back() + 1, 3);
  plain("final_conv.1.bias", {width});
  plain("final_linear.0.weight", {width, width * pixels}, 1 / std::sqrt(static_cast<double>(width * pixels)));
  // The checkpoint's linear layer reads its image as [C,4,4], ours is [4,4,C].
  out.back().arrange = [width](const Tensor& w) {
    return permute(w.reshape({width, width, last_side, last_side}), {0, 2, 3, 1}).reshape({width, Tensor::infer});
  };
  plain("final_linear.0.bias", {width});
  plain("final_linear.1.weight", {1, width}, 1 / std::sqrt(static_cast<double>(width)));
  plain("final_linear.1.bias", {1});
  return out;
}

}  // namespace

DiscriminatorConfig discriminator_config(const SafetensorsFile& file, const std::string& prefix) {
  DiscriminatorConfig config;
  config.channels = {stored_shape(file, prefix + "convs.0.0.weight", 4)[0]};
  for (int i = 1; file.contains(str(prefix, "convs.", i, ".conv2.1.weight")); ++i)
    config.channels.push_back(stored_shape(file, str(prefix, "convs.", i, ".conv2.1.weight"), 4)[0]);
  config.size = 4 << config.blocks();
  config.final_channels = stored_shape(file, prefix + "final_conv.0.weight", 4)[0];
  return config;
}

ParameterMap discriminator_parameters(const DiscriminatorConfig& config) {
  if (config.blocks() < 1 || config.size != 4 << config.blocks())
    fail(Errc::invalid_argument, op, "size ", config.size, " does not go with channels at ", config.channels.size(), " resolutions down to 4");
  return zero_parameters(weights_of(config));
}

StyleGan2Discriminator::StyleGan2Discriminator(const DiscriminatorConfig& config, ParameterMap parameters, WeightMode mode)
    : config_(config), weights_(weights_of(config), std::move(parameters), mode) {}

StyleGan2Discriminator StyleGan2Discriminator::load(const SafetensorsFile& file, const std::string& prefix) {
  DiscriminatorConfig config = discriminator_config(file, prefix);
  ParameterMap parameters = discriminator_parameters(config);
  parameters.load(file, prefix);
  return StyleGan2Discriminator(config, std::move(parameters));
}

Tensor StyleGan2Discriminator::from_rgb(const Tensor& x) const {
  check(x.rank() == 4 && x.dim(3) == 3, op, "the picture should be [B,H,W,3], got ", describe(x));
  return conv2d_bias_act(x, weights_.get("convs.0.0.weight"), activation(weights_.get("convs.0.1.bias"), std::sqrt(2.0)));
}

Tensor StyleGan2Discriminator::block(const std::string& name, const Tensor& x) const {
  Tensor h = conv2d_bias_act(x, weights_.get(name + ".conv1.0.weight"), activation(weights_.get(name + ".conv1.1.bias"), std::sqrt(2.0)), {.pad = 1});
  h = upfirdn2d(h, fir_1331(), 1, 1, 1, {2, 2, 2, 2});
  h = conv2d_bias_act(h, weights_.get(name + ".conv2.1.weight"), activation(weights_.get(name + ".conv2.2.bias"), 1), {.stride = 2});
  // A 1x1 convolution of stride 2 after the blur reads every second pixel only: blur just those.
  Tensor skip = conv2d(upfirdn2d(x, fir_1331(), 1, 1, 2, {1, 1, 1, 1}), weights_.get(name + ".skip.1.weight"));
  return h + skip;
}

std::vector<Tensor> StyleGan2Discriminator::features(const Tensor& x, int count) const {
  if (count < 1 || count > config_.blocks()) fail(Errc::invalid_argument, op, count, " blocks of ", config_.blocks());
  check(x.rank() == 4 && x.dim(1) % (1 << count) == 0 && x.dim(2) % (1 << count) == 0, op, "the picture ", describe(x), " cannot be halved ",
        count, " times");
  std::vector<Tensor> outputs;
  Tensor h = from_rgb(x);
  for (int i = 1; i <= count; ++i) {
    h = block(block_name(i), h);
    outputs.push_back(h);
  }
  return outputs;
}

Tensor StyleGan2Discriminator::logits(const Tensor& x) const {
  check(x.rank() == 4 && x.dim(1) == config_.size && x.dim(2) == config_.size, op, "the picture should be ", config_.size, " pixels wide, got ",
        describe(x));
  Tensor h = append_stddev(features(x, config_.blocks()).back());
  h = conv2d_bias_act(h, weights_.get("final_conv.0.weight"), activation(weights_.get("final_conv.1.bias"), std::sqrt(2.0)), {.pad = 1});
  h = matmul(h.reshape({x.dim(0), Tensor::infer}), weights_.get("final_linear.0.weight"), false, true);
  h = bias_act(h, activation(weights_.get("final_linear.0.bias"), std::sqrt(2.0)));
  return matmul(h, weights_.get("final_linear.1.weight"), false, true) + weights_.get("final_linear.1.bias");
}

}  // namespace g2s
