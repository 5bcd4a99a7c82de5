// Latents of the generator from files.
#pragma once

#include <string>

#include "engine/export.h"
#include "engine/tensor.h"
#include "models/generator.h"

namespace g2s G2S_EXPORTED {

// A .npy file, or a .safetensors file with a tensor `latent` or a single tensor: f32 [D], [N,D] (N latents in W) or [N,L,D] (W+), D the
// generator's style dimension and L its number of layers. Throws naming the file (and tensor) if it is none of these or not finite.
Tensor read_latents(const std::string& path, const Generator& generator);

std::int64_t latent_count(const Tensor& latents);
// The i-th, [1,D] or [1,L,D].
Tensor latent_at(const Tensor& latents, std::int64_t i);

}  // namespace g2s
