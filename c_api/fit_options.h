// The options of a fit, as the caller writes them in JSON.
#pragma once

#include <string>

#include "models/gan2shape/reconstruction.h"

namespace g2s::capi {

struct FitRequest {
  ReconstructionSettings settings;  // all but the memory limit
  std::string weights;              // a folder; empty: none
  bool force = false;               // a result may take the place of another fit's
  Tensor latent;                    // f32 [1,D] or [1,L,D] on the CPU; undefined: to be projected
};

// Null: the defaults. Throws Error(format) if it is no JSON object, else Error(invalid_argument) naming the option that is unknown, of
// another type or out of range.
FitRequest read_fit_options(const char* json);

}  // namespace g2s::capi
