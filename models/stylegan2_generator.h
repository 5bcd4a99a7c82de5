// The StyleGAN2 generator (Karras et al. 2020), with the parameter names of rosinality/stylegan2-pytorch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/export.h"
#include "engine/module.h"
#include "engine/safetensors.h"
#include "kernels/random/random.h"
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

class StyleGan2Generator {
 public:
  StyleGan2Generator(const GeneratorConfig& config, ParameterMap parameters, WeightMode mode = WeightMode::frozen);
  // Throws naming file and tensor when one is absent or of another shape; tensors that the network does not know (blur kernels) are ignored.
  static StyleGan2Generator load(const SafetensorsFile& file, const std::string& prefix = "");

  const GeneratorConfig& config() const { return config_; }

  // z [B,style_dim] -> w [B,style_dim].
  Tensor mapping(const Tensor& z) const { return mapping_range(z, 0, mapping_modules()); }
  // Modules first .. last-1 of the mapping's list: 0 is the pixel norm, k the k-th linear layer.
  Tensor mapping_range(const Tensor& x, int first, int last) const;
  int mapping_modules() const { return config_.mapping_layers + 1; }
  // Mean of the mapped samples z [N,style_dim]: [1,style_dim].
  Tensor mean_latent(const Tensor& z) const;
  Tensor mean_latent(Random& random, std::int64_t samples = 4096) const;
  // The mean that came with the weights, [1,style_dim]; undefined if none did.
  const Tensor& latent_avg() const { return latent_avg_; }
  // mean + psi (w - mean), for W and W+.
  static Tensor truncate(const Tensor& w, const Tensor& mean, double psi);

  // w [B,style_dim], or one latent per layer [B,latents,style_dim] -> image [B,size,size,3], not clamped, with the stored noise.
  // Gradients to w and, if trainable, to the parameters; to any order.
  Tensor synthesis(const Tensor& w) const;

  // Only of a trainable generator.
  ParameterMap& parameters() { return weights_.parameters(); }

 private:
  Tensor style(const std::string& conv, const Tensor& latent) const;
  Tensor styled_conv(int i, const Tensor& x, const Tensor& latent) const;
  Tensor to_rgb(int level, const Tensor& x, const Tensor& latent, const Tensor& skip) const;
  std::vector<Tensor> split_latents(const Tensor& w) const;

  GeneratorConfig config_;
  std::vector<Tensor> noises_;  // [1,H,W,1] of each convolution
  Tensor latent_avg_;
  ScaledWeights weights_;
};

}  // namespace g2s
