// How much arithmetic the program asked for: what benchmarks divide by the time.
#pragma once

#include <cstdint>

#include "engine/export.h"

namespace g2s G2S_EXPORTED {

// Convolutions and matrix products report their multiply-adds here, whatever algorithm computes them: those of the definition, so that a
// Winograd convolution counts as the direct one that it replaces, and a tap on the zero padding counts as any other.
void count_multiply_adds(std::int64_t multiply_adds);

// All that were counted in this thread's context, on every thread.
std::int64_t multiply_adds_counted();

}  // namespace g2s
