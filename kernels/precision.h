// The precision that a user asks for, by name.
#pragma once

#include <string>

namespace g2s {

// Sets the precision of this process to f32 or bf16. Throws Error naming --precision if there is no such one, or if this machine cannot do it.
void use_precision(const std::string& name);

}  // namespace g2s
