#include "models/gan2shape/memory_plan.h"

#include <algorithm>
#include <cmath>

namespace g2s {
namespace {

constexpr double f32 = 4, mib = 1 << 20;

// Activations of one image, in bytes, each layer's output once.
double discriminator_activations(const DiscriminatorConfig& d, double size) {
  constexpr int blocks = 4;  // that step 2 compares
  double floats = 0, side = size;
  for (int i = 0; i < std::min(blocks, d.blocks()); ++i, side /= 2) floats += 2 * side * side * static_cast<double>(d.channels[static_cast<std::size_t>(i)]);
  return f32 * floats;
}

double vgg_activations(double size) { return f32 * size * size * (2 * 64 + 2 * 128 / 4.0 + 3 * 256 / 16.0 + 3 * 512 / 64.0 + 3 * 512 / 256.0); }

double kernel_weights(double in, double out, double kernel) { return f32 * in * out * kernel * kernel; }

double discriminator_weights(const DiscriminatorConfig& d) {
  double bytes = 0;
  for (std::size_t i = 1; i < d.channels.size(); ++i) {
    const double in = static_cast<double>(d.channels[i - 1]), out = static_cast<double>(d.channels[i]);
    bytes += kernel_weights(in, in, 3) + kernel_weights(in, out, 3) + kernel_weights(in, out, 1);
  }
  return bytes;
}

// How many times a frozen network's weights are held: in Winograd's form, of four times the size, for both directions, and as they are in the file
// (the generator's upsampling layers have no such form). Of a trained network: weights, two moments, gradients, less what no step trains at once.
// And how much of the activations is alive at the worst moment; and what lies beside tensors of networks. Upper bounds for a whole fit, which holds all steps' weights: at 64 pixels 2 % above
// what was measured, at 128 pixels 12 %.
struct Factors {
  double gan_copies, vgg_copies, trained_copies, alive_step2, alive_step3, beside;
};
constexpr Factors on_cpu = {7, 9, 3.6, 1.5, 1.6, static_cast<double>(program_bytes)};
// There weights lie as they were read, those of the generator's upsampling layers also the other way round. Counted without running the kernels,
// since memory depends on no number: at 64 pixels 5 % above, at 128 pixels 17 %. Memory is held in segments (engine/cuda/device_memory.cuh), of
// which two are not full.
constexpr Factors on_device = {2, 1.3, 3.75, 1.75, 1.2, 136 * mib};

constexpr const Factors& factors(DeviceType type) { return type == DeviceType::cpu ? on_cpu : on_device; }

constexpr double vgg_weights = f32 * 14.7e6;

// The presets' networks, whose width falls as their size grows.
double trained_weights(const Config& c) {
  const double width = c.nf * static_cast<double>(c.size) / 4096, encoder = c.size > 64 ? 13.8e6 : 3.6e6, scale = c.enc_nf / 32.0;
  return f32 * (2 * (13e6 + 7e6) * width * width + encoder * scale * scale);
}

// What lies in memory whatever the part: weights, moments and the projected samples.
double fixed_bytes(const Config& c, const NetworkMemory& g, const DiscriminatorConfig& d, const Factors& f) {
  const double samples = f32 * 4.0 * c.size * c.size * c.batch * (c.collect + 4);
  return f.gan_copies * (g.weight_bytes + discriminator_weights(d)) + f.vgg_copies * vgg_weights + f.trained_copies * trained_weights(c) + samples + f.beside;
}

std::string in_mib(std::size_t bytes) { return std::to_string((bytes + (std::size_t{1} << 20) - 1) >> 20) + "M"; }

}  // namespace

std::size_t step2_bytes(const Config& c, const NetworkMemory& g, const DiscriminatorConfig& d, std::int64_t part, DeviceType type) {
  const double compared = d.channels.empty() ? vgg_activations(c.size) : discriminator_activations(d, c.size);  // LPIPS where there is no discriminator
  const double image = factors(type).alive_step2 * (g.activation_bytes + compared);
  return static_cast<std::size_t>(fixed_bytes(c, g, d, factors(type)) + static_cast<double>(part) * image);
}

std::size_t step3_bytes(const Config& c, const NetworkMemory& g, const DiscriminatorConfig& d, std::int64_t part, DeviceType type) {
  const bool flipped = std::find(c.flip3.begin(), c.flip3.end(), true) != c.flip3.end();
  const double image = factors(type).alive_step3 * (flipped ? 2 : 1) * vgg_activations(c.size);
  return static_cast<std::size_t>(fixed_bytes(c, g, d, factors(type)) + static_cast<double>(part) * image);
}

std::string MemoryPlan::parts() const { return str(step2, " and ", step3, " pictures at a time"); }

MemoryPlan plan_memory(const Config& c, const NetworkMemory& g, const DiscriminatorConfig& d, std::size_t limit, DeviceType type) {
  MemoryPlan plan{c.batch, c.batch_of_step3() + 1};
  if (limit == 0) return plan;
  const std::size_t least = std::max(step2_bytes(c, g, d, 1, type), step3_bytes(c, g, d, 1, type));
  if (least > limit) {
    fail(Errc::invalid_argument, "memory_limit", in_mib(limit), " is less than the ", in_mib(least), " that the preset '", c.preset,
         "' needs with one picture at a time");
  }
  while (step2_bytes(c, g, d, plan.step2, type) > limit) --plan.step2;
  while (step3_bytes(c, g, d, plan.step3, type) > limit) --plan.step3;
  return plan;
}

}  // namespace g2s
