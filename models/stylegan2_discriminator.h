// The residual StyleGAN2 discriminator (Karras et al. 2020), with the parameter names of rosinality/stylegan2-pytorch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/export.h"
#include "engine/module.h"
#include "engine/safetensors.h"
#include "models/scaled_weights.h"

namespace g2s G2S_EXPORTED {

struct DiscriminatorConfig {
  int size = 64;                       // of the image: a power of two, 8 or more
  std::vector<std::int64_t> channels;  // at size, size/2, .. 4
  std::int64_t final_channels = 0;     // after the last convolution; 0: as at 4

  int blocks() const { return static_cast<int>(channels.size()) - 1; }
  std::int64_t final_width() const { return final_channels ? final_channels : channels.back(); }
};

// Read from the shapes of a checkpoint's tensors.
DiscriminatorConfig discriminator_config(const SafetensorsFile& file, const std::string& prefix = "");
// Every parameter by name, zeros.
ParameterMap discriminator_parameters(const DiscriminatorConfig& config);

class StyleGan2Discriminator {
 public:
  StyleGan2Discriminator(const DiscriminatorConfig& config, ParameterMap parameters, WeightMode mode = WeightMode::frozen);
  // Throws naming file and tensor when one is absent or of another shape; unknown tensors are ignored.
  static StyleGan2Discriminator load(const SafetensorsFile& file, const std::string& prefix = "");

  const DiscriminatorConfig& config() const { return config_; }

  // x [B,size,size,3] -> outputs of the first `count` residual blocks, [B,size/2,size/2,.] first. The rest is not computed. Any size that
  // halves evenly will do. Gradients to x and, if trainable, to the parameters; to any order.
  std::vector<Tensor> features(const Tensor& x, int count = 4) const;
  // x [B,size,size,3] -> realness [B,1]; B a multiple of min(B, 4), the group of the minibatch standard deviation.
  Tensor logits(const Tensor& x) const;

  // Only of a trainable discriminator.
  ParameterMap& parameters() { return weights_.parameters(); }

 private:
  Tensor block(const std::string& name, const Tensor& x) const;
  Tensor from_rgb(const Tensor& x) const;

  DiscriminatorConfig config_;
  ScaledWeights weights_;
};

}  // namespace g2s
