// g2s_bench: times one case in its own process.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <exception>
#include <nlohmann/json.hpp>

#include "bench/cases.h"
#include "bench/tune.h"
#include "engine/error.h"
#include "engine/parallel.h"
#include "kernels/precision.h"

namespace {

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Of all threads: what a busy machine can still compare.
double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  std::size_t n = values.size();
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

nlohmann::json run(const std::string& name, const g2s::bench::Setup& setup, int repeat, int warm_up) {
  std::function<void()> body = setup();
  for (int i = 0; i < warm_up; ++i) body();
  std::vector<double> times, processor_times;
  for (int i = 0; i < repeat; ++i) {
    double begin = seconds(), processor_begin = processor_seconds();
    body();
    times.push_back(seconds() - begin);
    processor_times.push_back(processor_seconds() - processor_begin);
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {{"case", name}, {"median_s", median(times)}, {"min_s", *std::min_element(times.begin(), times.end())}, {"n", times.size()},
          {"times_s", times}, {"min_processor_s", *std::min_element(processor_times.begin(), processor_times.end())},
          {"peak_rss_mib", static_cast<double>(usage.ru_maxrss) / 1024}};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Times one benchmark case of gan2shape."};
  std::string name, assets = G2S_ASSETS_DIR, precision = "f32";
  int repeat = 5, warm_up = 1, threads = 0;
  bool list = false, json = false, tune = false, known = false;
  app.add_option("--case", name, "the case to run");
  app.add_option("--repeat", repeat, "counted repetitions")->check(CLI::PositiveNumber);
  app.add_option("--warm-up", warm_up, "repetitions before those")->check(CLI::NonNegativeNumber);
  app.add_option("--threads", threads, "0: as many as the machine has")->check(CLI::NonNegativeNumber);
  app.add_option("--precision", precision, "f32, or bf16: inputs of the products of convolutions rounded to bfloat16");
  app.add_option("--assets", assets, "folder of lpips_vgg.safetensors");
  app.add_flag("--list", list, "name the cases");
  app.add_flag("--tune", tune, "measure and rewrite the table of convolution paths, kernels/conv/conv_table.inc");
  app.add_flag("--known", known, "with --tune: only the convolutions that the table has for some instruction set")->needs("--tune");
  app.add_flag("--json", json, "one line of JSON, last");
  CLI11_PARSE(app, argc, argv);
  try {
    if (tune) return g2s::bench::tune(assets, G2S_ASSETS_DIR "/../kernels/conv/conv_table.inc", known), 0;
    auto cases = g2s::bench::cases(assets);
    if (list) {
      for (const auto& [case_name, setup] : cases) std::printf("%s\n", case_name.c_str());
      return 0;
    }
    auto it = cases.find(name);
    if (it == cases.end()) g2s::fail(g2s::Errc::invalid_argument, "--case", "no case ", name, "; --list names them");
    g2s::set_num_threads(threads);
    g2s::use_precision(precision);
    nlohmann::json result = run(name, it->second, repeat, warm_up);
    result["precision"] = precision;
    if (json) std::printf("%s\n", result.dump().c_str());
    else std::printf("%s: median %.4f s, min %.4f s of %d, peak %.0f MiB\n", name.c_str(), result["median_s"].get<double>(),
                     result["min_s"].get<double>(), repeat, result["peak_rss_mib"].get<double>());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "g2s_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
