// How many images of a batch fit into a given memory at a time.
#pragma once

#include <cstddef>
#include <string>

#include "engine/export.h"
#include "models/gan2shape/config.h"
#include "models/generator.h"
#include "models/stylegan2_discriminator.h"

namespace g2s G2S_EXPORTED {

// What the program takes besides its tensors, on the CPU; part of every figure for the CPU. A device's memory holds tensors alone.
constexpr std::size_t program_bytes = std::size_t{64} << 20;

struct MemoryPlan {
  std::int64_t step2 = 0, step3 = 0;  // images in a part; of step 3 the input is one

  // Are the batches of a step cut?
  bool in_parts(const Config& config) const { return step2 < config.batch || step3 < config.batch_of_step3() + 1; }
  // They decide the order of the sums over pictures.
  std::string parts() const;
};

// Bytes that an iteration takes with `part` images at a time, an upper estimate from the sizes of the networks' layers. On a CUDA device
// frozen weights are held nearly once, on the CPU in several forms.
std::size_t step2_bytes(const Config& config, const NetworkMemory& generator, const DiscriminatorConfig& discriminator, std::int64_t part,
                        DeviceType type = DeviceType::cpu);
std::size_t step3_bytes(const Config& config, const NetworkMemory& generator, const DiscriminatorConfig& discriminator, std::int64_t part,
                        DeviceType type = DeviceType::cpu);

// The largest parts below `limit` bytes, whole batches if they fit or if the limit is 0. Depends on the arguments alone, so that the same
// settings give the same bytes on every machine. Throws naming what is needed at least.
MemoryPlan plan_memory(const Config& config, const NetworkMemory& generator, const DiscriminatorConfig& discriminator, std::size_t limit,
                       DeviceType type = DeviceType::cpu);

}  // namespace g2s
