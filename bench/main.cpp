// g2s_bench: times one case in its own process, measures what the machine can do, and compares runs.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/cases.h"
#include "bench/compare.h"
#include "bench/peak.h"
#include "bench/schedule.h"
#include "bench/tune.h"
#include "bench/tune_cuda.h"
#include "engine/accelerator.h"
#include "engine/allocator.h"
#include "engine/context.h"
#include "engine/error.h"
#include "engine/parallel.h"
#include "engine/multiply_adds.h"
#include "kernels/isa.h"
#include "kernels/precision.h"

namespace {

using namespace g2s::bench;

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Of all threads: what a busy machine can still compare.
double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  std::size_t n = values.size();
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

// What the engine has counted so far.
struct Work {
  double flops = 0, bytes = 0;
};

Work counted(g2s::Device device) {
  return {2 * static_cast<double>(g2s::multiply_adds_counted()), 2 * static_cast<double>(g2s::allocator(device).stats().total_allocated)};
}

// Until everything that was launched is done: the beginning and the end of what is timed.
void wait_for(g2s::Device device) {
  if (device.type != g2s::DeviceType::cpu) g2s::accelerator(device, "g2s_bench").synchronize();
}

double mebibytes(std::size_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

constexpr double slow_case = 10;  // seconds of a repetition

// The machine's share of a row.
nlohmann::json describe(g2s::Device device) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const g2s::MemoryStats stats = g2s::allocator(device).stats();
  nlohmann::json out = {{"device", g2s::str(device)},
                        {"peak_rss_mib", static_cast<double>(usage.ru_maxrss) / 1024},
                        {"peak_tensors_mib", mebibytes(stats.peak)},
                        {"threads", g2s::num_threads()},
                        {"isa", g2s::kernels::to_string(g2s::kernels::isa())}};
  if (device.type != g2s::DeviceType::cpu) {
    out["device_name"] = g2s::accelerator(device, "g2s_bench").name(device.index);
    out["reserved_mib"] = mebibytes(stats.reserved);
  }
  return out;
}

nlohmann::json run(const std::string& name, const Setup& setup, g2s::Device device, int repeat, int slow_repeat, int warm_up) {
  const g2s::DefaultDevice guard(device);
  const Body body = setup();
  g2s::allocator(device).reset_peak();
  for (int i = 0; i < warm_up; ++i) {
    const double begin = seconds();
    body.run();
    wait_for(device);
    if (seconds() - begin > slow_case) repeat = std::min(repeat, slow_repeat);
  }
  std::vector<double> times, processor_times;
  const Work before = counted(device);
  wait_for(device);
  for (int i = 0; i < repeat; ++i) {
    const double begin = seconds(), processor_begin = processor_seconds();
    body.run();
    wait_for(device);
    times.push_back(seconds() - begin);
    processor_times.push_back(processor_seconds() - processor_begin);
  }
  const Work after = counted(device);
  const double middle = median(times), gflop = ((after.flops - before.flops) / repeat + body.flops) * 1e-9;
  const double gbytes = (body.bytes > 0 ? body.bytes : (after.bytes - before.bytes) / repeat) * 1e-9;
  nlohmann::json out = {{"case", name},
                        {"median_s", middle},
                        {"min_s", *std::min_element(times.begin(), times.end())},
                        {"min_processor_s", *std::min_element(processor_times.begin(), processor_times.end())},
                        {"n", times.size()},
                        {"times_s", times},
                        {"gflop", gflop},
                        {"gflops", gflop / middle},
                        {"gbytes", gbytes}};
  out.update(describe(device));
  for (const auto& [fact, value] : body.facts) out[fact] = value;
  return out;
}

struct Options {
  std::string name, assets = G2S_ASSETS_DIR, precision = "f32", device = "cpu", schedule;
  int repeat = 5, slow_repeat = 1 << 20, warm_up = 1, threads = 0, plans = 0;
  double scale = 1, seconds = 0;
  bool list = false, peak = false, json = false, tune = false, known = false;
  std::vector<std::string> compare;
};

void declare(CLI::App& app, Options& o) {
  app.add_option("--case", o.name, "the case to run");
  app.add_option("--repeat", o.repeat, "counted repetitions")->check(CLI::PositiveNumber);
  app.add_option("--slow-repeat", o.slow_repeat, "at most so many where one takes more than ten seconds")->check(CLI::PositiveNumber);
  app.add_option("--warm-up", o.warm_up, "repetitions before those")->check(CLI::NonNegativeNumber);
  app.add_option("--threads", o.threads, "0: as many as the machine has")->check(CLI::NonNegativeNumber);
  app.add_option("--device", o.device, "cpu, cuda or cuda:N: where a case runs, timed from an idle device to an idle device; with --tune cuda for the tables of CUDA, "
                 "kernels/{conv,matmul}/*_cuda_table.inc (of --case alone, if given; --repeat rounds)");
  app.add_option("--precision", o.precision, "f32, or bf16: inputs of the products of convolutions rounded to bfloat16")->check(CLI::IsMember({"f32", "tf32", "bf16"}));
  app.add_option("--assets", o.assets, "folder of lpips_vgg.safetensors");
  app.add_flag("--list", o.list, "name the cases");
  app.add_flag("--peak", o.peak, "measure the machine's multiply-adds and memory");
  app.add_option("--schedule", o.schedule, "a preset: time its whole schedule on one made-up picture with a random generator");
  app.add_option("--scale", o.scale, "with --schedule: of every iteration count")->check(CLI::PositiveNumber);
  app.add_option("--seconds", o.seconds, "with --schedule: stop after so long")->check(CLI::NonNegativeNumber);
  app.add_option("--compare", o.compare, "two JSON files of earlier runs: print what changed")->expected(2);
  app.add_flag("--tune", o.tune, "measure and rewrite the table of convolution paths, kernels/conv/conv_table.inc");
  app.add_option("--cudnn-plans", o.plans, "has cuDNN plans for all convolutions of the networks on a device of this SM version (80, 90)? Needs none");
  app.add_flag("--known", o.known, "with --tune: only the convolutions that the table has for some instruction set")->needs("--tune");
  app.add_flag("--json", o.json, "one line of JSON, last");
}

g2s::Context context_of(const Options& o) {
  const g2s::Device device = g2s::device_from(o.device, "--device");
  return g2s::Context({.device = device, .settings = {.threads = o.threads, .precision = g2s::precision_for(o.precision)}});
}

void print_peak(const Options& o) {
  const nlohmann::json peak = measure_peak(o.threads);
  std::printf("%s\n", o.json ? peak.dump().c_str() : peak.dump(2).c_str());
}

void run_schedule(const Options& o) {
  g2s::Context context = context_of(o);
  const g2s::UseContext in(context);
  const nlohmann::json row = time_schedule({o.schedule, o.assets, context.options().device, o.scale, o.seconds});
  std::printf("%s\n", o.json ? row.dump().c_str() : row.dump(2).c_str());
}

void run_case(const Options& o) {
  const auto cases = g2s::bench::cases(o.assets);
  auto it = cases.find(o.name);
  if (it == cases.end()) g2s::fail(g2s::Errc::invalid_argument, "--case", "no case ", o.name, "; --list names them");
  g2s::Context context = context_of(o);
  const g2s::UseContext in(context);
  nlohmann::json result = run(o.name, it->second, context.options().device, o.repeat, o.slow_repeat, o.warm_up);
  result["precision"] = o.precision;
  auto number = [&](const char* key) { return result.at(key).get<double>(); };
  if (o.json) std::printf("%s\n", result.dump().c_str());
  else std::printf("%s: median %.4f s, min %.4f s of %d, peak %.0f MiB, %.0f GFLOP/s\n", o.name.c_str(), number("median_s"), number("min_s"),
                   result.at("n").get<int>(), number(o.device == "cpu" ? "peak_rss_mib" : "peak_tensors_mib"), number("gflops"));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Times one benchmark case of gan2shape."};
  Options o;
  declare(app, o);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    std::fprintf(stderr, "g2s_bench: %s (see g2s_bench --help)\n", e.what());
    return 2;
  }
  try {
    if (o.list) {
      for (const auto& [name, setup] : g2s::bench::cases(o.assets)) std::printf("%s\n", name.c_str());
    } else if (o.peak) {
      print_peak(o);
    } else if (!o.schedule.empty()) {
      run_schedule(o);
    } else if (o.plans) {
      check_plans(o.assets, o.plans);
    } else if (o.tune && o.device != "cpu") {
      g2s::Context context({.device = g2s::device_from(o.device, "--device")});
      const g2s::UseContext in(context);
      tune_cuda(o.assets, G2S_ASSETS_DIR "/../kernels", o.name, o.repeat);
    } else if (o.tune) {
      g2s::bench::tune(o.assets, G2S_ASSETS_DIR "/../kernels/conv/conv_table.inc", o.known);
    } else if (!o.compare.empty()) {
      compare_runs(o.compare[0], o.compare[1], std::cout);
    } else {
      run_case(o);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "g2s_bench: %s\n", error.what());
    const auto* e = dynamic_cast<const g2s::Error*>(&error);
    return e && e->code() == g2s::Errc::invalid_argument && e->op().rfind("--", 0) == 0 ? 2 : 1;
  }
  return 0;
}
