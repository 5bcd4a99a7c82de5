// result.json of one picture.
#pragma once

#include <nlohmann/json.hpp>

#include "apps/reconstruct.h"
#include "models/gan2shape/export.h"

namespace g2s::app {

nlohmann::json result_json(const ReconstructOptions& options, const Plan& plan, const Job& job, const FitResult& fit, const ExportReport& exported);

// What a first look costs; empty for the other qualities.
std::string quality_note(Quality quality);

}  // namespace g2s::app
