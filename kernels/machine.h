// What this machine computes with, in words.
#pragma once

#include <string>

#include "engine/export.h"

namespace g2s G2S_EXPORTED {

// What the CPU's kernels run: "base", "v3" or "v4", see kernels/isa.h.
std::string instruction_set();
// "cuda:0 is NVIDIA H100, cuda:1: ..." or why there is no CUDA device.
std::string cuda_devices();

}  // namespace g2s
