#include "kernels/conv/conv_choice.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/names.h"
#include "kernels/choice.h"
#include "kernels/conv/winograd_args.h"

namespace g2s::kernels {
namespace {

constexpr std::int64_t few_channels = 16;

// In ascending order of instruction set and problem.
constexpr ConvTableRow table[] = {
#include "kernels/conv/conv_table.inc"
};

std::optional<ConvPath> forced() {
  return choice_overridden<ConvPath>("G2S_CONV_PATH",
                                     {{"direct", ConvPath::direct}, {"winograd6", ConvPath::winograd6}, {"winograd4", ConvPath::winograd4}});
}

// Cycles where a cycle does 16 multiply-adds of a product. Only their ratio counts, which machines nearly share.
double winograd_cycles(const ConvProblem& p, std::int64_t tile) {
  const std::int64_t m = tile + 1 - p.kernel;
  const double tiles = static_cast<double>(p.batch * ((p.rows + m - 1) / m) * ((p.columns + m - 1) / m));
  const double points = static_cast<double>(winograd_points(tile)), weights = static_cast<double>(p.k * p.n);
  const double products = points * std::max(tiles, 6.0) * weights / 16, transforms = tiles * static_cast<double>(p.k + p.n) / 16 * points * 8;
  // Many weights are read from memory, or also written there: 8 bytes a cycle and 2.5.
  const double weight_bytes = points * weights * sizeof(float);
  return products + transforms + std::max(0.0, weight_bytes / 8 - products) + (p.constant ? 0 : weight_bytes / 2.5);
}

}  // namespace

const char* to_string(ConvPath path) { return name_of(path, {"direct", "winograd6", "winograd4"}); }

bool possible(ConvPath path, const ConvProblem& p) {
  return path == ConvPath::direct || p.kernel == 3 || (p.kernel == 5 && path == ConvPath::winograd6);
}

ConvPath conv_path_by_rule(const ConvProblem& p) {
  if (p.k < few_channels || p.n < few_channels) return ConvPath::direct;
  const double direct = static_cast<double>(p.batch * p.rows * p.columns * p.kernel * p.kernel * p.k * p.n) / 16;
  double best = direct;
  ConvPath path = ConvPath::direct;
  for (ConvPath candidate : {ConvPath::winograd6, ConvPath::winograd4}) {
    if (!possible(candidate, p)) continue;
    const double cycles = winograd_cycles(p, candidate == ConvPath::winograd6 ? 6 : 4);
    if (cycles >= best) continue;
    best = cycles;
    path = candidate;
  }
  return path;
}

ConvPath choose_conv_path(const ConvProblem& problem) {
  tell_listener(problem);
  if (const auto path = forced(); path && possible(*path, problem)) return *path;
  if (const ConvTableRow* row = find_row(conv_table_begin(), conv_table_end(), &ConvTableRow::isa, isa(), problem)) return row->path;
  return conv_path_by_rule(problem);
}

void observe_conv_problems(std::function<void(const ConvProblem&)> f) { listen(std::move(f)); }

const ConvTableRow* conv_table_begin() { return std::begin(table); }
const ConvTableRow* conv_table_end() { return std::end(table); }

}  // namespace g2s::kernels
