// The StyleGAN2 generator (Karras et al. 2020), with the parameter names of rosinality/stylegan2-pytorch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/export.h"
#include "engine/module.h"
#include "engine/safetensors.h"
#include "models/generator.h"
#include "models/scaled_weights.h"

namespace g2s G2S_EXPORTED {

struct GeneratorConfig {
  int size = 64;                       // of the image: a power of two, 4 or more
  std::int64_t style_dim = 512;
  int mapping_layers = 8;              // equalised linear layers, after the pixel norm
  std::vector<std::int64_t> channels;  // at 4, 8, .. size
  bool latent_avg = false;             // the file has the mean latent (`latent_avg`)

  int levels() const { return static_cast<int>(channels.size()); }
  int latents() const { return 2 * levels(); }  // of W+: 2 log2(size) - 2
};

// Read from the shapes of a checkpoint's tensors.
GeneratorConfig generator_config(const SafetensorsFile& file, const std::string& prefix = "");
// Every parameter by name, zeros: the learned ones, the noise maps `noises.noise_i` and the mean latent. Blur kernels are not stored.
ParameterMap generator_parameters(const GeneratorConfig& config);

NetworkMemory generator_memory(const GeneratorConfig& config);

// Gradients to w and, if trainable, to the parameters; to any order.
class StyleGan2Generator : public Generator {
 public:
  StyleGan2Generator(const GeneratorConfig& config, ParameterMap parameters, WeightMode mode = WeightMode::frozen);
  // Throws naming file and tensor when one is absent or of another shape; tensors that the network does not know (blur kernels) are ignored.
  static StyleGan2Generator load(const SafetensorsFile& file, const std::string& prefix = "");

  const GeneratorConfig& config() const { return config_; }
  int size() const override { return config_.size; }
  std::int64_t style_dim() const override { return config_.style_dim; }
  int latents() const override { return config_.latents(); }
  int mapping_layers() const override { return config_.mapping_layers; }
  NetworkMemory memory() const override { return generator_memory(config_); }
  const char* name() const override { return "stylegan2_generator"; }
  const Tensor& latent_avg() const override { return latent_avg_; }

  // Only of a trainable generator.
  ParameterMap& parameters() { return weights_.parameters(); }

 private:
  std::pair<Tensor, Tensor> mapping_layer(int k) const override;
  Tensor draw(const std::vector<Tensor>& latents) const override;
  Tensor style(const std::string& conv, const Tensor& latent) const;
  Tensor styled_conv(int i, const Tensor& x, const Tensor& latent) const;
  Tensor to_rgb(int level, const Tensor& x, const Tensor& latent, const Tensor& skip) const;

  GeneratorConfig config_;
  std::vector<Tensor> noises_;  // [1,H,W,1] of each convolution
  Tensor latent_avg_;
  ScaledWeights weights_;
};

}  // namespace g2s
