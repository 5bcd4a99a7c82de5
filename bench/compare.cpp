#include "bench/compare.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>
#include <vector>

#include "engine/error.h"
#include "engine/files.h"

namespace g2s::bench {
namespace {

using nlohmann::json;

constexpr double least_band = 0.02;  // no machine repeats itself better than this from one process to the next

struct Times {
  double median = 0, spread = 0;  // spread: half the width of the repetitions' middle half, relative to the median
};

double quantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto i = static_cast<std::size_t>(at);
  const double rest = at - static_cast<double>(i);
  return i + 1 < sorted.size() ? sorted[i] * (1 - rest) + sorted[i + 1] * rest : sorted[i];
}

Times times_of(const json& row) {
  Times t{row.at("median_s").get<double>(), 0};
  if (!row.contains("times_s")) return t;
  auto values = row.at("times_s").get<std::vector<double>>();
  if (values.empty()) return t;
  std::sort(values.begin(), values.end());
  t.spread = (quantile(values, 0.75) - quantile(values, 0.25)) / 2 / t.median;
  return t;
}

std::map<std::string, Times> read_run(const std::string& path) {
  const std::string text = read_file(path, std::size_t{1} << 28);
  std::map<std::string, Times> run;
  try {
    const json whole = json::parse(text, nullptr, false);
    if (!whole.is_discarded() && whole.contains("results")) {
      for (const auto& [name, row] : whole.at("results").items()) run[name] = times_of(row);
      return run;
    }
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
      if (!line.empty()) {
        const json row = json::parse(line);
        run[row.at("case").get<std::string>()] = times_of(row);
      }
  } catch (const json::exception& e) {
    fail(Errc::format, path, "is neither a run of the benchmarks nor lines of g2s_bench --json: ", e.what());
  }
  return run;
}

}  // namespace

void compare_runs(const std::string& before, const std::string& after, std::ostream& out) {
  const std::map<std::string, Times> a = read_run(before), b = read_run(after);
  out << std::left << std::setw(42) << "case" << std::right << std::setw(11) << "before s" << std::setw(11) << "after s" << std::setw(8) << "ratio"
      << std::setw(9) << "band" << '\n';
  auto ratio_sum = 0.0;
  int both = 0;
  for (const auto& [name, was] : a) {
    auto found = b.find(name);
    if (found == b.end()) continue;
    const Times& is = found->second;
    const double ratio = is.median / was.median;
    const double band = std::max(least_band, 2 * std::hypot(was.spread, is.spread));
    out << std::left << std::setw(42) << name << std::right << std::fixed << std::setprecision(4) << std::setw(11) << was.median << std::setw(11)
        << is.median << std::setprecision(3) << std::setw(8) << ratio << std::setprecision(1) << std::setw(8) << 100 * band << '%'
        << (ratio < 1 - band ? "  faster" : ratio > 1 + band ? "  SLOWER" : "") << '\n';
    ratio_sum += std::log(ratio);
    ++both;
  }
  for (const auto& [name, times] : a)
    if (!b.count(name)) out << name << " only in " << before << '\n';
  for (const auto& [name, times] : b)
    if (!a.count(name)) out << name << " only in " << after << '\n';
  if (both == 0) fail(Errc::invalid_argument, "--compare", before, " and ", after, " have no case in common");
  out << both << " cases, geometric mean of the ratios " << std::setprecision(3) << std::exp(ratio_sum / both) << '\n';
}

}  // namespace g2s::bench
