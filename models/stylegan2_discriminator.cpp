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
  ParameterMap map;
  auto conv = [&](const std::string& name, std::int64_t out, std::int64_t in, std::int64_t k) {
    map.add(name, ParameterKind::conv, Tensor::zeros({out, k, k, in}));
  };
  auto plain = [&](const std::string& name, const Shape& shape) { map.add(name, ParameterKind::plain, Tensor::zeros(shape)); };
  conv("convs.0.0.weight", config.channels[0], 3, 1);
  plain("convs.0.1.bias", {config.channels[0]});
  for (int i = 1; i <= config.blocks(); ++i) {
    std::int64_t in = config.channels[static_cast<std::size_t>(i - 1)], out = config.channels[static_cast<std::size_t>(i)];
    std::string name = str("convs.", i);
    conv(name + ".conv1.0.weight", in, in, 3);
    plain(name + ".conv1.1.bias", {in});
    conv(name + ".conv2.1.weight", out, in, 3);
    plain(name + ".conv2.2.bias", {out});
    conv(name + ".skip.1.weight", out, in, 1);
  }
  std::int64_t width = config.final_width();
  conv("final_conv.0.weight", width, config.channels.back() + 1, 3);
  plain("final_conv.1.bias", {width});
  plain("final_linear.0.weight", {width, width * last_side * last_side});
  plain("final_linear.0.bias", {width});
  plain("final_linear.1.weight", {1, width});
  plain("final_linear.1.bias", {1});
  return map;
}

StyleGan2Discriminator::StyleGan2Discriminator(const DiscriminatorConfig& config, ParameterMap parameters, WeightMode mode)
    : config_(config), weights_(std::move(parameters), mode) {
  auto conv = [&](const std::string& name, double gain = 1) {
    const Shape shape = weights_.parameters()[name].shape();  // [O,k,k,C]
    return weights_.add(name, gain / std::sqrt(static_cast<double>(shape[1] * shape[2] * shape[3])));
  };
  rgb_weight_ = conv("convs.0.0.weight");
  rgb_bias_ = weights_.add("convs.0.1.bias");
  for (int i = 1; i <= config.blocks(); ++i) {
    std::string name = str("convs.", i);
    // The division of a block's sum by sqrt 2 is taken into the skip's weight; the main branch's activation gain of sqrt 2 cancels it.
    blocks_.push_back({conv(name + ".conv1.0.weight"), weights_.add(name + ".conv1.1.bias"), conv(name + ".conv2.1.weight"),
                       weights_.add(name + ".conv2.2.bias"), conv(name + ".skip.1.weight", std::sqrt(0.5))});
  }
  std::int64_t width = config.final_width();
  final_conv_ = conv("final_conv.0.weight");
  final_bias_ = weights_.add("final_conv.1.bias");
  // The checkpoint's linear layer reads its image as [C,4,4], ours is [4,4,C].
  linear0_ = weights_.add("final_linear.0.weight", 1 / std::sqrt(static_cast<double>(width * last_side * last_side)), [width](const Tensor& w) {
    return permute(w.reshape({width, width, last_side, last_side}), {0, 2, 3, 1}).reshape({width, Tensor::infer});
  });
  linear0_bias_ = weights_.add("final_linear.0.bias");
  linear1_ = weights_.add("final_linear.1.weight", 1 / std::sqrt(static_cast<double>(width)));
  linear1_bias_ = weights_.add("final_linear.1.bias");
  weights_.finish();
}

StyleGan2Discriminator StyleGan2Discriminator::load(const SafetensorsFile& file, const std::string& prefix) {
  DiscriminatorConfig config = discriminator_config(file, prefix);
  ParameterMap parameters = discriminator_parameters(config);
  parameters.load(file, prefix);
  return StyleGan2Discriminator(config, std::move(parameters));
}

Tensor StyleGan2Discriminator::from_rgb(const Tensor& x) const {
  check(x.rank() == 4 && x.dim(3) == 3, op, "the picture should be [B,H,W,3], got ", describe(x));
  return conv2d_bias_act(x, weights_.get(rgb_weight_), activation(weights_.get(rgb_bias_), std::sqrt(2.0)));
}

Tensor StyleGan2Discriminator::block(const Block& layer, const Tensor& x) const {
  Tensor h = conv2d_bias_act(x, weights_.get(layer.conv1), activation(weights_.get(layer.bias1), std::sqrt(2.0)), {.pad = 1});
  h = upfirdn2d(h, fir_1331(), 1, 1, 1, {2, 2, 2, 2});
  h = conv2d_bias_act(h, weights_.get(layer.conv2), activation(weights_.get(layer.bias2), 1), {.stride = 2});
  // A 1x1 convolution of stride 2 after the blur reads every second pixel only: blur just those.
  Tensor skip = conv2d(upfirdn2d(x, fir_1331(), 1, 1, 2, {1, 1, 1, 1}), weights_.get(layer.skip));
  return h + skip;
}

std::vector<Tensor> StyleGan2Discriminator::features(const Tensor& x, int count) const {
  if (count < 1 || count > config_.blocks()) fail(Errc::invalid_argument, op, count, " blocks of ", config_.blocks());
  check(x.rank() == 4 && x.dim(1) % (1 << count) == 0 && x.dim(2) % (1 << count) == 0, op, "the picture ", describe(x), " cannot be halved ",
        count, " times");
  std::vector<Tensor> outputs;
  Tensor h = from_rgb(x);
  for (int i = 0; i < count; ++i) {
    h = block(blocks_[static_cast<std::size_t>(i)], h);
    outputs.push_back(h);
  }
  return outputs;
}

Tensor StyleGan2Discriminator::logits(const Tensor& x) const {
  check(x.rank() == 4 && x.dim(1) == config_.size && x.dim(2) == config_.size, op, "the picture should be ", config_.size, " pixels wide, got ",
        describe(x));
  Tensor h = append_stddev(features(x, config_.blocks()).back());
  h = conv2d_bias_act(h, weights_.get(final_conv_), activation(weights_.get(final_bias_), std::sqrt(2.0)), {.pad = 1});
  h = matmul(h.reshape({x.dim(0), Tensor::infer}), weights_.get(linear0_), false, true);
  h = bias_act(h, activation(weights_.get(linear0_bias_), std::sqrt(2.0)));
  return matmul(h, weights_.get(linear1_), false, true) + weights_.get(linear1_bias_);
}

}  // namespace g2s
