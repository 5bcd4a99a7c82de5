#include "models/encoder_decoder.h"

#include <cmath>

#include "kernels/bias_act/bias_act.h"
#include "kernels/conv/conv.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/group_norm/group_norm.h"
#include "kernels/pool/pool.h"
#include "kernels/resize/resize.h"

namespace g2s {
namespace {

constexpr double down_slope = 0.2;
constexpr double relu_slope = 0;

// Levels beyond those of a 64 pixel network.
int extra_levels(const char* name, int size) {
  int extra = 0;
  while ((64 << extra) < size) ++extra;
  if ((64 << extra) != size) fail(Errc::invalid_argument, name, "size ", size, " is not 64, 128, 256, ..");
  return extra;
}

Tensor leaky(const Tensor& x, double slope) { return slope == relu_slope ? relu(x) : leaky_relu(x, slope); }

}  // namespace

std::size_t LayerNet::add(const std::string& name, ParameterRole role, const Shape& shape) {
  ParameterKind kind = shape.rank() == 4 ? ParameterKind::conv : ParameterKind::plain;
  parameters_.add(name, kind, Tensor::full(shape, role == ParameterRole::norm_weight ? 1 : 0));
  roles_.push_back(role);
  return roles_.size() - 1;
}

void LayerNet::conv(std::int64_t in, std::int64_t out, int k, int stride, int pad) {
  Layer layer{.kind = Layer::Kind::conv, .stride = stride, .pad = pad};
  layer.parameter = add(str("network.", modules_, ".weight"), ParameterRole::conv, {out, k, k, in});
  layers_.push_back(layer);
  ++modules_;
}

void LayerNet::transposed_conv(std::int64_t in, std::int64_t out, int k, int stride, int pad) {
  conv(out, in, k, stride, pad);
  layers_.back().kind = Layer::Kind::transposed_conv;
  roles_.back() = ParameterRole::transposed_conv;
}

void LayerNet::norm(int groups, std::int64_t channels, double slope) {
  Layer layer{.kind = Layer::Kind::norm, .groups = groups, .slope = slope};
  layer.parameter = add(str("network.", modules_, ".weight"), ParameterRole::norm_weight, {channels});
  add(str("network.", modules_, ".bias"), ParameterRole::norm_bias, {channels});
  layers_.push_back(layer);
  modules_ += 2;
}

void LayerNet::activation(double slope, int modules) {
  layers_.push_back({.kind = Layer::Kind::activation, .slope = slope});
  modules_ += modules;
}

void LayerNet::upsample() {
  layers_.push_back({.kind = Layer::Kind::upsample});
  ++modules_;
}

void LayerNet::output_activation(OutputActivation kind) {
  if (kind == OutputActivation::tanh) layers_.push_back({.kind = Layer::Kind::tanh});
}

// Runs on what the ReLU at the head of the block leaves, and takes in the ReLU that follows it: every block's output goes through one.
void LayerNet::residual_down(std::int64_t in, std::int64_t out) {
  Layer layer{.kind = Layer::Kind::residual};
  std::string name = str("network.", modules_);
  layer.parameter = add(name + ".conv1.weight", ParameterRole::conv, {out, 3, 3, in});
  add(name + ".conv2.weight", ParameterRole::conv, {out, 3, 3, out});
  add(name + ".conv_sc.weight", ParameterRole::conv, {out, 1, 1, in});
  add(name + ".conv_sc.bias", ParameterRole::conv_bias, {out});
  layers_.push_back(layer);
  ++modules_;
}

void LayerNet::initialize(Random& random) {
  double bound = 0;
  for (std::size_t i = 0; i < roles_.size(); ++i) {
    Tensor target = value(i);
    const Shape& s = target.shape();
    // Fan-in as PyTorch counts it, from the second dimension of what it stores: of a transposed convolution that is the output's.
    if (roles_[i] == ParameterRole::conv || roles_[i] == ParameterRole::transposed_conv)
      bound = 1 / std::sqrt(static_cast<double>(s[1] * s[2] * s[3]));
    if (roles_[i] == ParameterRole::norm_weight) copy_into(target, Tensor::full(s, 1, target.dtype()));
    else if (roles_[i] == ParameterRole::norm_bias) copy_into(target, Tensor::zeros(s, target.dtype()));
    else copy_into(target, random.uniform(s, -bound, bound, target.dtype()));  // a bias follows its convolution and shares its bound
  }
}

Tensor LayerNet::run_residual(const Layer& layer, const Tensor& x) const {
  Tensor h = relu(conv2d(x, value(layer.parameter), {.stride = 2, .pad = 1}));
  h = conv2d(h, value(layer.parameter + 1), {.pad = 1});
  Tensor shortcut = conv2d(avg_pool2d(x, 2), value(layer.parameter + 2));
  return bias_act(h + shortcut, {.bias = value(layer.parameter + 3), .slope = relu_slope});
}

Tensor LayerNet::run(const Layer& layer, const Tensor& x) const {
  switch (layer.kind) {
    case Layer::Kind::conv: return conv2d(x, value(layer.parameter), {.stride = layer.stride, .pad = layer.pad});
    case Layer::Kind::transposed_conv: return conv_transpose2d(x, value(layer.parameter), {.stride = layer.stride, .pad = layer.pad});
    case Layer::Kind::norm: return group_norm(x, layer.groups, value(layer.parameter), value(layer.parameter + 1), 1e-5, layer.slope);
    case Layer::Kind::activation: return leaky(x, layer.slope);
    case Layer::Kind::tanh: return tanh(x);
    case Layer::Kind::upsample: return resize_nearest(x, 2 * x.dim(1), 2 * x.dim(2));
    case Layer::Kind::residual: return run_residual(layer, x);
  }
  fail(Errc::internal, name_, "an unknown layer");
}

Tensor LayerNet::operator()(const Tensor& x) const {
  check(x.rank() == 4 && x.dim(1) == size_ && x.dim(2) == size_ && x.dim(3) == cin_, name_, "takes [B,", size_, ",", size_, ",", cin_, "], got ",
        describe(x));
  Tensor h = x;
  for (const Layer& layer : layers_) h = run(layer, h);
  return flatten_ ? h.reshape({x.dim(0), Tensor::infer}) : h;
}

EDDeconv::EDDeconv(const LayerNetConfig& config) : LayerNet("ed_deconv", config.size, config.cin) {
  int levels = 4 + extra_levels("ed_deconv", config.size);  // halvings from size to 4
  std::int64_t nf = config.nf;
  auto width = [&](int level) { return nf << level; };
  auto groups = [&](int level) { return config.gn_base << level; };

  conv(config.cin, nf, 4, 2, 1);
  for (int level = 1; level < levels; ++level) {
    norm(groups(level - 1), width(level - 1), down_slope);
    conv(width(level - 1), width(level), 4, 2, 1);
  }
  activation(down_slope);
  conv(width(levels - 1), config.zdim, 4, 1, 0);
  activation(relu_slope);

  transposed_conv(config.zdim, width(levels - 1), 4, 1, 0);
  activation(relu_slope);
  conv(width(levels - 1), width(levels - 1), 3, 1, 1);
  activation(relu_slope);
  for (int level = levels - 2; level >= 0; --level) {
    transposed_conv(width(level + 1), width(level), 4, 2, 1);
    norm(groups(level), width(level), relu_slope);
    conv(width(level), width(level), 3, 1, 1);
    norm(groups(level), width(level), relu_slope);
  }
  upsample();
  conv(nf, nf, 3, 1, 1);
  norm(config.gn_base, nf, relu_slope);
  conv(nf, nf, 5, 1, 2);
  norm(config.gn_base, nf, relu_slope);
  conv(nf, config.cout, 5, 1, 2);
  output_activation(config.activation);
}

Encoder::Encoder(const LayerNetConfig& config) : LayerNet("encoder", config.size, config.cin) {
  int levels = 4 + extra_levels("encoder", config.size);
  std::int64_t nf = config.nf, in = config.cin;
  for (int level = 0; level < levels; ++level) {
    conv(in, nf << level, 4, 2, 1);
    activation(relu_slope);
    in = nf << level;
  }
  conv(in, in, 4, 1, 0);
  activation(relu_slope);
  conv(in, config.cout, 1, 1, 0);
  output_activation(config.activation);
  flatten_output();
}

ResEncoder::ResEncoder(const LayerNetConfig& config) : LayerNet("res_encoder", config.size, config.cin) {
  int levels = 4 + extra_levels("res_encoder", config.size);
  std::int64_t nf = config.nf;
  conv(config.cin, nf, 4, 2, 1);
  // Every block starts with a ReLU in place, so that its shortcut sees it too. Here each block ends with the next one's, the first one's comes
  // before it, and the module after the blocks is the last one's.
  activation(relu_slope, 0);
  for (int level = 1; level < levels; ++level) residual_down(nf << (level - 1), nf << level);
  skip_module();
  std::int64_t last = nf << (levels - 1);
  conv(last, 2 * last, 4, 1, 0);
  activation(relu_slope);
  conv(2 * last, config.cout, 1, 1, 0);
  output_activation(config.activation);
  flatten_output();
}

}  // namespace g2s
