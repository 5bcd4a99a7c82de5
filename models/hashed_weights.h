// Parameters whose values come from their names: the same in every language, so that golden traces need not store weights.
#pragma once

#include <string>

#include "engine/export.h"
#include "models/encoder_decoder.h"
#include "models/mobilestylegan.h"
#include "models/stylegan2_discriminator.h"
#include "models/stylegan2_generator.h"

namespace g2s G2S_EXPORTED {

// All: parameter P of network `net` becomes a multiple of u("net/P", i) (see engine/hashed_tensor.h), i counting in the checkpoint's
// layout, computed in double and rounded to f32. Leaves what is trainable trainable; throws if a parameter is constant.

// Convolutions sqrt(3) sqrt(2 / fan_in) u, fan_in the product of all dimensions but the output's; group norms 1 + 0.1 u and 0.1 u; biases
// 0.1 u; the last convolution also times `last_scale`. `smooth`: the last three are 1/4 u plus the first tap of each kernel's u, for smooth
// images.
void fill_hashed(LayerNet& net, const std::string& name, double last_scale, bool smooth);
// As golden traces have it for the method's networks: "netD", "netA", "netV", "netL", "netEnc".
void fill_hashed(LayerNet& net, const std::string& name);

// sqrt(3) u; mapping weights and biases divided by their learning-rate multiplier; biases 0.1 u, of modulations 1 + 0.1 u; noise weights 0.1 u;
// weights of to_rgb times `to_rgb_scale`.
void fill_hashed_generator(ParameterMap& parameters, double to_rgb_scale, const std::string& name = "G");
// sqrt(3) u for what multiplies, 0.1 u for biases and noise, biases of modulations 1 + 0.1 u; weights of the mapping and of modulations also
// over the root of what is summed. `scale` is 1 / sqrt(taps c) of the c channels that it multiplies, taps 9 or of to_img 1,
// times 1.25 after the first layer.
void fill_hashed_mobilestylegan(ParameterMap& parameters, const std::string& name = "G");
void fill_hashed_discriminator(ParameterMap& parameters, const std::string& name = "D");

}  // namespace g2s
