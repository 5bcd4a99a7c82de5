// The CUDA part of the engine, where it is linked.
#pragma once

#include "engine/accelerator.h"

namespace g2s {

// Null in a library or program that was built without it.
__attribute__((weak)) Accelerator* cuda_accelerator();

}  // namespace g2s
