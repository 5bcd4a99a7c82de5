#include "apps/table.h"

#include <cstdio>
#include <ostream>

#include "engine/shown.h"

namespace g2s::app {
namespace {

void print_row(std::ostream& out, const std::string& name, std::size_t width, const nlohmann::json& m) {
  auto number = [&](const char* key) { return m.at(key).get<double>(); };
  const std::string left = shown(name);
  out << left << std::string(width - std::min(width, left.size()), ' ');
  char text[160];
  std::snprintf(text, sizeof text, "  %6.2f  %6.1f    %6.2f  %6.1f    %6.2f  %6.1f\n", 100 * number("side"), number("mad"),
                100 * number("ellipsoid_side"), number("ellipsoid_mad"), 100 * number("constant_side"), number("constant_mad"));
  out << text;
}

std::size_t name_width(const MetricRows& rows) {
  std::size_t width = 7;
  for (const auto& row : rows) width = std::max(width, row.first.size());
  return std::min<std::size_t>(width, 60);
}

}  // namespace

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
