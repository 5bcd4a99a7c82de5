#include "bench/tune.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <map>
#include <set>
#include <vector>

#include "bench/cases.h"
#include "engine/context.h"
#include "engine/autograd.h"
#include "engine/files.h"
#include "engine/parallel.h"
#include "kernels/conv/conv.h"
#include "kernels/conv/conv_choice.h"
#include "kernels/random/random.h"

namespace g2s::bench {
namespace {

using kernels::ConvPath;
using kernels::ConvProblem;
using kernels::ConvTableRow;

// Every network at the sizes and batches of the presets.
constexpr std::array cases_to_watch = {"G128_b1_fwdbwd", "G128_b8_fwdbwd", "Gsmall64_b16_fwdbwd",
                                       "Dfeat128_b1_fwdbwd", "Dfeat_small64_b16_fwdbwd", "LPIPS64_b1_fwdbwd", "LPIPS64_b16_fwdbwd",
                                       "LPIPS128_b1_fwdbwd", "LPIPS128_b16_fwdbwd", "EDDeconv64_b1_fwdbwd", "EDDeconv128_b1_fwdbwd",
                                       "ResEncoder64_b16_fwdbwd", "ResEncoder128_b16_fwdbwd", "step1_64", "step2_64_b16", "step3_64_b16",
                                       "step1_128", "step2_128_b16", "step3_128_b16"};
constexpr std::array paths = {ConvPath::direct, ConvPath::winograd6, ConvPath::winograd4};
constexpr double clear_gain = 0.97;     // a path must need less than this of the rule's time to replace it
constexpr double seconds_each = 0.25;   // of a problem, all paths together
constexpr int least_rounds = 5, most_rounds = 300;

// Of this thread: other programs on the machine disturb it less than the time on the wall.
double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

std::set<ConvProblem> problems_of_cases(const std::string& assets) {
  const std::map<std::string, Setup> all = cases(assets);
  std::set<ConvProblem> found;
  for (const char* name : cases_to_watch) {
    std::fprintf(stderr, "looking at %s\n", name);
    const auto it = all.find(name);
    if (it == all.end()) fail(Errc::internal, "--tune", "there is no case ", name);
    const std::function<void()> body = it->second().run;
    kernels::observe_conv_problems([&](const ConvProblem& p) { found.insert(p); });
    body();
    kernels::observe_conv_problems({});
  }
  return found;
}

// The least time of each path, in turns, so that a drift of the machine's speed falls on all alike.
std::map<ConvPath, double> time_paths(const ConvProblem& p) {
  Random random(0, "tune");
  Tensor x = random.normal({p.batch, p.rows, p.columns, p.k}), w = random.normal({p.n, p.kernel, p.kernel, p.k});
  if (p.constant) w.set_constant();
  const ConvOptions options{1, static_cast<int>(p.kernel / 2), 1};
  std::map<ConvPath, double> best;
  double spent = 0;
  for (int round = -1; round < most_rounds && (round < least_rounds || spent < seconds_each); ++round) {
    for (ConvPath path : paths) {
      if (!kernels::possible(path, p)) continue;
      const WithOverride with("G2S_CONV_PATH", kernels::to_string(path));
      const double begin = cpu_seconds();
      conv2d(x, w, options);
      const double time = cpu_seconds() - begin;
      if (round < 0) continue;  // makes what a constant weight keeps
      spent += time;
      best[path] = best.count(path) ? std::min(best[path], time) : time;
    }
  }
  return best;
}

ConvPath fastest(const ConvProblem& p, const std::map<ConvPath, double>& times) {
  const ConvPath rule = kernels::conv_path_by_rule(p);
  ConvPath path = rule;
  double limit = clear_gain * times.at(rule);
  for (const auto& [candidate, time] : times) {
    if (time >= limit) continue;
    limit = time;
    path = candidate;
  }
  return path;
}

void write_table(const std::vector<ConvTableRow>& rows, const std::string& file) {
  std::string text = "// Written by g2s_bench --tune: measure again instead of editing.\n"
                     "// Instruction set; kernel, batch, rows, columns, channels in, channels out, constant weight; fastest path.\n";
  for (const ConvTableRow& r : rows) {
    const ConvProblem& p = r.problem;
    text += str("{Isa::", to_string(r.isa), ", {", p.kernel, ", ", p.batch, ", ", p.rows, ", ", p.columns, ", ", p.k, ", ", p.n, ", ",
                p.constant ? "true" : "false", "}, ConvPath::", to_string(r.path), "},\n");
  }
  write_file(file, text);
}

}  // namespace

void tune(const std::string& assets, const std::string& table, bool known_only) {
  std::set<ConvProblem> problems;
  if (!known_only) problems = problems_of_cases(assets);
  else
    for (const ConvTableRow* r = kernels::conv_table_begin(); r != kernels::conv_table_end(); ++r) problems.insert(r->problem);
  const WithThreads one(1);
  NoGrad no_grad;
  std::vector<ConvTableRow> rows;
  for (const ConvTableRow* r = kernels::conv_table_begin(); r != kernels::conv_table_end(); ++r)
    if (r->isa != kernels::isa()) rows.push_back(*r);
  std::printf("%6s %5s %11s %11s %8s  %9s %9s %9s ms, %s\n", "kernel", "batch", "size", "channels", "constant", "direct", "winograd6", "winograd4",
              kernels::to_string(kernels::isa()));
  for (const ConvProblem& p : problems) {
    const std::map<ConvPath, double> times = time_paths(p);
    const ConvPath path = fastest(p, times);
    rows.push_back({kernels::isa(), p, path});
    auto ms = [&](ConvPath which) { return times.count(which) ? 1e3 * times.at(which) : 0.0; };
    std::printf("%6d %5d %5dx%-5d %5d>%-5d %8s  %9.3f %9.3f %9.3f %s%s\n", static_cast<int>(p.kernel), static_cast<int>(p.batch),
                static_cast<int>(p.rows), static_cast<int>(p.columns), static_cast<int>(p.k), static_cast<int>(p.n), p.constant ? "yes" : "no",
                ms(ConvPath::direct), ms(ConvPath::winograd6), ms(ConvPath::winograd4), kernels::to_string(path),
                path == kernels::conv_path_by_rule(p) ? "" : ", not the rule's");
    std::fflush(stdout);
  }
  std::stable_sort(rows.begin(), rows.end(), [](const ConvTableRow& a, const ConvTableRow& b) { return a.isa < b.isa; });
  write_table(rows, table);
}

}  // namespace g2s::bench
