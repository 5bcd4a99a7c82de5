// The five networks of the method.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/export.h"
#include "models/encoder_decoder.h"
#include "models/gan2shape/config.h"

namespace g2s G2S_EXPORTED {

struct Networks {
  EDDeconv netD, netA;
  Encoder netV, netL;
  ResEncoder netEnc;

  // Zeros (group norms 1 and 0), to be filled.
  explicit Networks(const Config& config);
  // PyTorch's default initial values, from the stream "networks" of the seed.
  Networks(const Config& config, std::uint64_t seed);

  // Their names and parameters, in the order of checkpoints.
  std::vector<std::pair<std::string, LayerNet*>> all();
  std::vector<std::pair<std::string, const LayerNet*>> all() const;
  // Every parameter becomes a leaf that gradients can be taken to.
  void set_trainable();
  NamedTensors to_checkpoint() const;          // netD.network.0.weight, ..
  void load(const SafetensorsFile& file);      // every parameter of all five; throws naming file and tensor
};

}  // namespace g2s
