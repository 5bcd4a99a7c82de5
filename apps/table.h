// The table of accuracies that evaluate and reconstruct print.
#pragma once

#include <iosfwd>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "models/gan2shape/metrics.h"

namespace g2s::app {

// {side, mad, ellipsoid_side, ellipsoid_mad, constant_side, constant_mad}: SIDE as a plain number, MAD in degrees.
nlohmann::json metrics_json(const Measures& measures);

using MetricRows = std::vector<std::pair<std::string, nlohmann::json>>;  // picture, metrics

nlohmann::json mean_metrics(const MetricRows& rows);
// One line per picture and one of means, SIDE times 100.
void print_table(std::ostream& out, const MetricRows& rows);

// Means after each phase of the fits, from their result.json; empty where not all have the same phases.
MetricRows phase_means(const std::vector<nlohmann::json>& results);
void print_phases(std::ostream& out, const MetricRows& phases);

}  // namespace g2s::app
