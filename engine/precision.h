// In what precision the products of convolutions are taken: a setting of the context (engine/context.h). Results depend on it, and on no timing.
#pragma once

#include <string>

#include "engine/export.h"

namespace g2s G2S_EXPORTED {

// What is rounded before it is multiplied; sums are f32 always, and so are products of matrices: of styles, demodulation and sums over
// batches, a few hundredths of the time, which a whole image depends on.
enum class Precision {
  f32,
  tf32,  // both inputs of f32 convolutions and of their two gradients, to 11 bits; on CUDA alone, on the CPU it is f32
  bf16,  // both inputs of f32 convolutions and of their input gradients, to bfloat16; weight gradients stay f32
};

Precision precision();  // of this thread's settings

const char* to_string(Precision precision);
// Throws Error(invalid_argument) naming the choices.
Precision precision_from_name(const std::string& name);

}  // namespace g2s
