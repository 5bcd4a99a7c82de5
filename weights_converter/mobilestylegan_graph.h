// MobileStyleGAN's networks in OpenVINO models: the mapping and the synthesis, found by walking the graphs from their results back.
#pragma once

#include <vector>

#include "weights_converter/checkpoint.h"

namespace g2s::convert {

// Whether some model of the checkpoint has the depthwise kernel of MobileStyleGAN's first block.
bool has_mobilestylegan(const Checkpoint& checkpoint);

// The parameters of all networks in it under the names that docs/checkpoints.md lists. Throws Error(format) naming the file, the model and the
// layer where a graph computes anything else than these networks do: another slope, another wavelet, a different order.
std::vector<SourceTensor> mobilestylegan_tensors(const Checkpoint& checkpoint);

}  // namespace g2s::convert
