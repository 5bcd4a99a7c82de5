// Carries out a plan: one safetensors file, a tensor at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/export.h"
#include "weights_converter/plan.h"

namespace g2s { namespace convert G2S_EXPORTED {

// Writes `plan` to `path`, making its parent folders. Numbers go from the mapped inputs to the file in pieces, so that memory does not grow
// with them; meanwhile a second thread computes the inputs' XXH128, which end up in the metadata (source_format, source_xxh128; of several
// inputs source_format.0, ...; of a .bin beside it source_xxh128.bin). (SHA-256 would take twice as long as the writing.) An existing file
// is replaced only by a complete one. Throws naming file and tensor; also of the first number that is infinite or none, unless the plan
// allows them.
void write_plan(const std::string& path, const ConversionPlan& plan, const std::vector<std::shared_ptr<const Checkpoint>>& inputs);

}}  // namespace g2s::convert
