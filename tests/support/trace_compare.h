// Compares what a trace computed with a golden file: the numbers of the README beside the golden traces.
#pragma once

#include <string>
#include <vector>

#include "engine/safetensors.h"

namespace g2s::test {

struct TraceItem {
  std::string name;
  double error = 0;  // in units of its tolerance; infinite if missing, of another shape or not finite
  std::string text;  // wanted, found, allowed
};

// Every item of the golden file, worst first. `got` holds plain names; names that only it has are ignored.
std::vector<TraceItem> compare_trace(const SafetensorsFile& want, const NamedTensors& got);

// Gradients, and what they decide: in f32 one unit at its kink, or one tie of a maximum, moves them further than rounding does.
bool may_flip(const TraceItem& item);

}  // namespace g2s::test
