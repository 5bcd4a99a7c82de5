// Measures of several reconstructions against true depths.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "engine/export.h"

namespace g2s G2S_EXPORTED {

using MetricRows = std::vector<std::pair<std::string, nlohmann::json>>;  // what was measured, and its metrics

// Without the numbers of pixels. There is at least one row.
nlohmann::json mean_metrics(const MetricRows& rows);
// Means after each phase of the fits, from their result.json; empty where not all have the same phases.
MetricRows phase_means(const std::vector<nlohmann::json>& results);

// Finished results against true depths.
struct Evaluation {
  MetricRows images, phases;
  std::vector<std::string> skipped;  // results without a true depth
};
// Of the finished results below a folder, or of the folder itself; the truth of the result STEM is STEM_depth.png. What a fit
// reports from memory is computed from its files here. Throws naming the file or folder at fault.
Evaluation evaluate(const std::string& results, const std::string& truth);

}  // namespace g2s
