// The generator MobileStyleGAN (Belousov 2021): StyleGAN2 distilled into depthwise and 1x1 convolutions and wavelets. Names as
// docs/checkpoints.md lists them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/module.h"
#include "models/generator.h"
#include "models/scaled_weights.h"

namespace g2s G2S_EXPORTED {

struct MobileStyleGanConfig {
  std::int64_t style_dim = 512;
  int mapping_layers = 8;
  std::int64_t first = 512;            // channels at 4 pixels
  std::vector<std::int64_t> channels;  // of each block; block i works at 8 * 2^i pixels

  int blocks() const { return static_cast<int>(channels.size()); }
  int size() const { return 8 << blocks(); }
  int latents() const { return 3 * blocks() + 1; }
};

// Read from the shapes of a file's tensors: of the whole network, or of one that a head made shorter.
MobileStyleGanConfig mobilestylegan_config(const SafetensorsFile& file, const std::string& prefix = "");
// Every parameter by name, zeros.
ParameterMap mobilestylegan_parameters(const MobileStyleGanConfig& config);

// With x a block's input, s = scale (A w + a) the style of each convolution and n its stored noise:
//   styled(x, w)  = leaky(conv(s x) + n + bias), slope 0.2, gain 1; conv is dense 3x3 in the first layer, else depthwise 3x3 and 1x1
//   block i(x)    = styled(styled(haar(s x, w_{3i+1}), w_{3i+1}), w_{3i+2})
//   image         = haar(1x1(s x, w_{3 blocks}) + bias)
// Demodulation is constant and inside the weights. Gradients to w, to any order.
class MobileStyleGan : public Generator {
 public:
  MobileStyleGan(const MobileStyleGanConfig& config, ParameterMap parameters);
  // Throws naming file and tensor when one is absent or of another shape.
  static MobileStyleGan load(const SafetensorsFile& file, const std::string& prefix = "");

  const MobileStyleGanConfig& config() const { return config_; }
  int size() const override { return config_.size(); }
  std::int64_t style_dim() const override { return config_.style_dim; }
  int latents() const override { return config_.latents(); }
  int mapping_layers() const override { return config_.mapping_layers; }
  NetworkMemory memory() const override;
  const char* name() const override { return "mobilestylegan"; }
  const Tensor& latent_avg() const override { return none_; }

 private:
  std::pair<Tensor, Tensor> mapping_layer(int k) const override;
  Tensor draw(const std::vector<Tensor>& latents) const override;
  Tensor style(const std::string& conv, const Tensor& latent) const;
  Tensor styled(const std::string& layer, const Tensor& x, const Tensor& latent) const;

  MobileStyleGanConfig config_;
  Tensor none_, one_;
  ScaledWeights weights_;
};

}  // namespace g2s
