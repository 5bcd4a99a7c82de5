// What a user should know before trusting a fit: docs/faces.md has the limits and what they were measured on.
#pragma once

#include <string>
#include <vector>

#include "engine/export.h"
#include "models/gan2shape/fit.h"

namespace g2s G2S_EXPORTED {

// A sentence each; none where nothing speaks against the result.
std::vector<std::string> fit_warnings(const FitResult& fit, const Config& config);

}  // namespace g2s
