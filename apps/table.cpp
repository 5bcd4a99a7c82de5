#include "apps/table.h"

#include <cstdio>
#include <ostream>

namespace g2s::app {
namespace {

const char* const keys[] = {"side", "mad", "ellipsoid_side", "ellipsoid_mad", "constant_side", "constant_mad"};

void print_row(std::ostream& out, const std::string& name, std::size_t width, const nlohmann::json& m) {
  auto number = [&](const char* key) { return m.at(key).get<double>(); };
  char text[160];
  std::snprintf(text, sizeof text, "%-*s  %6.2f  %6.1f    %6.2f  %6.1f    %6.2f  %6.1f\n", static_cast<int>(width), name.c_str(),
                100 * number("side"), number("mad"), 100 * number("ellipsoid_side"), number("ellipsoid_mad"), 100 * number("constant_side"),
                number("constant_mad"));
  out << text;
}

std::size_t name_width(const MetricRows& rows) {
  std::size_t width = 7;
  for (const auto& row : rows) width = std::max(width, row.first.size());
  return std::min<std::size_t>(width, 60);
}

}  // namespace

nlohmann::json metrics_json(const Measures& m) {
  return {{"side", m.fit.side},           {"mad", m.fit.mad},
          {"ellipsoid_side", m.ellipsoid.side}, {"ellipsoid_mad", m.ellipsoid.mad},
          {"constant_side", m.constant.side},   {"constant_mad", m.constant.mad},
          {"pixels", m.fit.pixels}};
}

nlohmann::json mean_metrics(const MetricRows& rows) {
  nlohmann::json mean = nlohmann::json::object();
  for (const char* key : keys) {
    double sum = 0;
    for (const auto& row : rows) sum += row.second.at(key).get<double>();
    mean[key] = sum / static_cast<double>(rows.size());
  }
  return mean;
}

void print_table(std::ostream& out, const MetricRows& rows) {
  if (rows.empty()) return;
  const std::size_t width = name_width(rows);
  char text[160];
  std::snprintf(text, sizeof text, "%-*s  %14s    %14s    %14s\n", static_cast<int>(width), "", "fit           ", "ellipsoid     ", "constant      ");
  out << text;
  std::snprintf(text, sizeof text, "%-*s  %6s  %6s    %6s  %6s    %6s  %6s\n", static_cast<int>(width), "picture", "SIDE", "MAD", "SIDE", "MAD",
                "SIDE", "MAD");
  out << text;
  for (const auto& row : rows) print_row(out, row.first, width, row.second);
  print_row(out, "mean", width, mean_metrics(rows));
  out << "SIDE times 100, MAD in degrees; " << rows.size() << (rows.size() == 1 ? " picture\n" : " pictures\n");
}

MetricRows phase_means(const std::vector<nlohmann::json>& results) {
  std::vector<MetricRows> phases;  // per phase, one row per result
  for (std::size_t r = 0; r < results.size(); ++r) {
    std::size_t n = 0;
    for (const auto& phase : results[r].value("phases", nlohmann::json::array())) {
      if (!phase.contains("metrics")) continue;
      std::string name = phase.at("phase").get<std::string>();
      if (phase.at("stage").get<int>() > 0) name += str(" of stage ", phase.at("stage").get<int>());
      if (r == 0) phases.emplace_back();
      if (n >= phases.size() || (r > 0 && phases[n].front().first != name)) return {};
      phases[n++].emplace_back(name, phase.at("metrics"));
    }
    if (n != phases.size()) return {};
  }
  MetricRows means;
  for (const MetricRows& rows : phases) means.emplace_back(rows.front().first, mean_metrics(rows));
  return means;
}

void print_phases(std::ostream& out, const MetricRows& phases) {
  if (phases.empty()) return;
  out << "mean after";
  for (const auto& [phase, m] : phases) {
    char text[96];
    std::snprintf(text, sizeof text, "%s %s %.2f / %.1f", &phase == &phases.front().first ? "" : ",", phase.c_str(), 100 * m.at("side").get<double>(),
                  m.at("mad").get<double>());
    out << text;
  }
  out << '\n';
}

}  // namespace g2s::app
