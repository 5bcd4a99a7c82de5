// The precision that a user asks for, by name.
#pragma once

#include <string>

#include "engine/export.h"
#include "engine/precision.h"
#include "engine/types.h"

namespace g2s G2S_EXPORTED {

// f32, tf32 or bf16. Throws Error naming `precision` if there is no such one, or if `device`, on which the work will be, cannot do it.
Precision precision_for(const std::string& name, Device device = {});

}  // namespace g2s
