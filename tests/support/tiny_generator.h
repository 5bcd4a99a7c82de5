// A generator of a few pixels and channels, whose weights come from their names.
#pragma once

#include <cstdint>
#include <string>

#include "engine/safetensors.h"
#include "models/hashed_weights.h"
#include "models/stylegan2_generator.h"

namespace g2s::test {

inline constexpr int tiny_size = 8;
inline constexpr std::int64_t tiny_latent = 16, tiny_latents = 4;

inline void write_tiny_generator(const std::string& path) {
  GeneratorConfig config;
  config.size = tiny_size;
  config.style_dim = tiny_latent;
  config.mapping_layers = 2;
  config.channels = {16, 8};
  ParameterMap parameters = generator_parameters(config);
  fill_hashed_generator(parameters, 1);
  write_safetensors(path, parameters.to_checkpoint());
}

}  // namespace g2s::test
