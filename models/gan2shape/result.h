// result.json: what is told of a finished reconstruction.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/export.h"
#include "models/gan2shape/export.h"
#include "models/gan2shape/reconstruction.h"

namespace g2s G2S_EXPORTED {

// `fit` is on the CPU.
nlohmann::json result_json(const Reconstructor& reconstructor, const ReconstructionJob& job, const FitResult& fit, const ExportReport& exported);

// As the file has it. A name of a file that is no UTF-8 does not stop it.
std::string result_text(const nlohmann::json& result);

// A folder is finished when it holds a result.json.
bool is_finished(const std::string& folder);
// Throws Error(format) naming the file if it is damaged.
nlohmann::json read_result(const std::string& folder);
// What a finished result was made with that would be another now: "picture", "seed", "setting 'stages'"; empty if nothing is.
std::vector<std::string> differences_of(const nlohmann::json& result, const Reconstructor& reconstructor, const Identity& identity);
// Throws Error(invalid_argument) naming the folder and all that differs if a finished result is there that is another one.
void require_same_result(const std::string& folder, const Reconstructor& reconstructor, const Identity& identity);
// Throws Error(io) if something is there that is no result, which nothing may replace.
void require_result_or_nothing(const std::string& folder);

// {side, mad, ellipsoid_side, ellipsoid_mad, constant_side, constant_mad, pixels}: SIDE as a plain number, MAD in degrees.
nlohmann::json metrics_json(const Measures& measures);

}  // namespace g2s
