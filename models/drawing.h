// Images of a generator from random or given latents. What is given and returned is on the CPU; the work is done on the
// context's device, where the generator is.
#pragma once

#include <cstdint>
#include <functional>

#include "engine/export.h"
#include "models/generator.h"

namespace g2s G2S_EXPORTED {

// Latents in W of random images, [count,D].
Tensor random_latents(const Generator& generator, std::int64_t count, std::uint64_t seed);

// Drawn towards the mean latent: psi 1 leaves them, 0 is the mean. latents [N,D] or [N,L,D]. The seed is that of the mean latent, where the
// weights do not have it.
Tensor truncated_latents(const Generator& generator, const Tensor& latents, double psi, std::uint64_t seed);

// Draws latents [N,D] or [N,L,D] a few at a time, which changes no bit: take(i, images) gets images i, i+1, .. as f32 [n,H,W,3], about -1
// to 1 and not clamped. Between two batches it reports progress to the context, and stops where that was cancelled.
void draw_images(const Generator& generator, const Tensor& latents, const std::function<void(std::int64_t, const Tensor&)>& take);

}  // namespace g2s
