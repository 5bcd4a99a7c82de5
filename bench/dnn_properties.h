// Devices as cuDNN wants them described where there is none: for plans without a device.
#pragma once

#include <string>

namespace g2s::cuda::dnn {

// A device of this SM version (80: like an A100, 90: like an H100) as JSON for use_properties. Throws for others.
std::string properties_like(int sm);

}  // namespace g2s::cuda::dnn
