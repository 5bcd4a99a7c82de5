#include "models/hashed_weights.h"

#include <cmath>
#include <functional>
#include <map>
#include <vector>

#include "engine/hashed_tensor.h"
#include "engine/parallel.h"

namespace g2s {
namespace {

// value = offset + scale * u
struct Rule {
  double scale = 1, offset = 0;
  bool smooth = false;
};

// f32 values in the checkpoint's layout.
Tensor hashed_values(const std::string& name, const Shape& shape, const Rule& rule) {
  const std::uint64_t hash = fnv1a64(name);
  const std::int64_t taps = rule.smooth ? shape[-1] * shape[-2] : 1;
  Tensor out = Tensor::empty(shape, DType::f32, Device{});
  float* y = out.mutable_data<float>();
  parallel_blocks(shape.numel(), 1 << 14, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      double u = hashed_uniform(hash, static_cast<std::uint64_t>(i));
      if (rule.smooth) u = hashed_uniform(hash, static_cast<std::uint64_t>(i - i % taps)) + 0.25 * u;
      y[i] = static_cast<float>(rule.offset + rule.scale * u);
    }
  });
  return out;
}

void fill(const Parameter& parameter, const std::string& net, const Rule& rule) {
  Tensor target = parameter.value;
  Tensor values = hashed_values(net + "/" + parameter.name, checkpoint_shape(target.shape(), parameter.kind), rule);
  copy_into(target, from_checkpoint(values, parameter.kind).to(target.dtype()));
}

bool is_convolution(ParameterRole role) { return role == ParameterRole::conv || role == ParameterRole::transposed_conv; }

}  // namespace

void fill_hashed(LayerNet& net, const std::string& name, double last_scale, bool smooth) {
  const std::vector<Parameter>& all = net.parameters().all();
  int convolutions_after = 0;
  for (std::size_t i = all.size(); i-- > 0;) {
    ParameterRole role = net.roles()[i];
    Rule rule{.scale = 0.1, .offset = role == ParameterRole::norm_weight ? 1.0 : 0.0};
    if (is_convolution(role)) {
      const Shape& s = all[i].value.shape();  // [O,kh,kw,I], of a transposed one [I,kh,kw,O]
      double fan_in = static_cast<double>(s[1] * s[2] * (role == ParameterRole::conv ? s[3] : s[0]));
      rule.scale = std::sqrt(3.0) * std::sqrt(2 / fan_in) * (convolutions_after == 0 ? last_scale : 1);
      rule.smooth = smooth && convolutions_after < 3;
      ++convolutions_after;
    }
    fill(all[i], name, rule);
  }
}

void fill_hashed(LayerNet& net, const std::string& name) {
  static const std::map<std::string, double> last_scales = {{"netD", 0.05}, {"netA", 0.15}, {"netV", 0.2}, {"netL", 0.2}, {"netEnc", 0.4}};
  auto found = last_scales.find(name);
  if (found == last_scales.end()) fail(Errc::invalid_argument, "fill_hashed", "no rule for a network called ", name);
  fill_hashed(net, name, found->second, name == "netD" || name == "netA");
}

void fill_hashed_generator(ParameterMap& parameters, double to_rgb_scale, const std::string& name) {
  constexpr double mapping_lr = 0.01;
  for (const Parameter& p : parameters.all()) {
    bool bias = p.name.ends_with("bias"), mapping = p.name.rfind("style.", 0) == 0, rgb = p.name.rfind("to_rgb", 0) == 0;
    Rule rule{.scale = std::sqrt(3.0)};
    if (bias || p.name.ends_with("noise.weight")) rule.scale = 0.1;
    if (mapping) rule.scale /= mapping_lr;
    if (p.name.ends_with("modulation.bias")) rule.offset = 1;
    if (rgb && p.name.ends_with(".conv.weight")) rule.scale *= to_rgb_scale;
    fill(p, name, rule);
  }
}

void fill_hashed_mobilestylegan(ParameterMap& parameters, const std::string& name) {
  for (const Parameter& p : parameters.all()) {
    if (p.name.ends_with(".scale")) {
      const std::string conv = p.name.substr(0, p.name.size() - std::string("scale").size());
      const double channels = static_cast<double>(parameters[conv + "modulation.bias"].dim(0)), taps = conv.find("to_img") == std::string::npos ? 9 : 1;
      Tensor scale = p.value;
      const double value = (p.name.starts_with("conv1.") ? 1 : 1.25) / std::sqrt(taps * channels);
      copy_into(scale, Tensor::scalar(static_cast<float>(value), scale.dtype()));
      continue;
    }
    const bool bias = p.name.ends_with(".bias"), modulation = p.name.ends_with("modulation.weight");
    const bool mapping = p.name.starts_with("mapping.") && !bias;
    Rule rule{.scale = std::sqrt(3.0)};
    if (modulation || mapping) rule.scale /= std::sqrt(static_cast<double>(p.value.dim(1)));
    if (bias || p.name.ends_with(".noise")) rule = {.scale = 0.1, .offset = p.name.ends_with("modulation.bias") ? 1.0 : 0.0};
    fill(p, name, rule);
  }
}

void fill_hashed_discriminator(ParameterMap& parameters, const std::string& name) {
  for (const Parameter& p : parameters.all()) fill(p, name, {.scale = p.name.ends_with("bias") ? 0.1 : std::sqrt(3.0)});
}

}  // namespace g2s
