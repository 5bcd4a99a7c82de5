// The benchmark program: what it promises besides times.
#include <doctest/doctest.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/program.h"

#if defined(G2S_BENCH)  // not in a build without the benchmarks

using namespace g2s::test;
using nlohmann::json;

namespace {

Outcome run_bench(const std::vector<std::string>& arguments) { return run_program(arguments, {.program = G2S_BENCH}); }

json last_line(const std::string& text) {
  std::string last;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (!line.empty()) last = line;
  return json::parse(last);
}

void write_run(const std::string& path, const json& medians) {
  json run;
  for (const auto& [name, median] : medians.items()) {
    const double m = median.get<double>();
    run["results"][name] = {{"median_s", m}, {"times_s", {0.99 * m, m, 1.01 * m}}};
  }
  std::ofstream(path) << run;
}

}  // namespace

TEST_CASE("g2s_bench names the cases that benchmarks are compared by") {
  const std::string list = run_bench({"--list"}).out;
  for (const char* name : {"G128_b1_fwd", "G128_b8_fwdbwd", "Dfeat128_b1_fwdbwd", "LPIPS64_b16_fwdbwd", "EDDeconv128_b1_fwdbwd", "step1_64",
                           "step2_128_b16", "step3_128_b16", "warp_canon_depth512_b16_fwdbwd", "op_matmul_2048x1024_1024"})
    CHECK_MESSAGE(("\n" + list).find("\n" + std::string(name) + "\n") != std::string::npos, name);
  const Outcome unknown = run_bench({"--case", "step9"});
  CHECK(unknown.code == 2);
  CHECK(unknown.err.find("step9") != std::string::npos);
}

TEST_CASE("g2s_bench counts the work that the definitions ask for") {
  const json row = last_line(run_bench({"--case", "G128_b1_fwd", "--repeat", "1", "--warm-up", "0", "--json"}).out);
  for (const char* key : {"case", "median_s", "min_s", "n", "peak_rss_mib"}) CHECK_MESSAGE(row.contains(key), key);
  // 11.25 GMAC an image: StyleGAN2's config-e at 128 pixels, each 3x3 upsampling convolution counted at its input's size.
  CHECK(row.at("gflop").get<double>() == doctest::Approx(2 * 11.25).epsilon(0.01));
  // A product of [2048,1024] and [1024,1024], both gradients not asked for.
  const json product = last_line(run_bench({"--case", "op_matmul_2048x1024_1024", "--repeat", "1", "--json"}).out);
  CHECK(product.at("gflop").get<double>() == doctest::Approx(2e-9 * 2048 * 1024 * 1024));
}

TEST_CASE("g2s_bench runs a case on a device, from idle to idle, and counts its memory") {
  const Outcome done = run_program({"--case", "op_smooth_16x128_fwdbwd", "--device", "cuda", "--repeat", "2", "--json"}, {.program = G2S_BENCH_EMULATED});
  INFO(done.err);
  REQUIRE(done.code == 0);
  const json row = last_line(done.out);
  CHECK(row.at("device") == "cuda:0");
  CHECK(row.at("device_name") == "SIMT emulator");
  CHECK(row.at("times_s").size() == 2);
  // Image, its gradient, loss and gradient of the loss: at least the first two at once.
  const double image = 16.0 * 128 * 128 * 4 / (1 << 20);
  CHECK(row.at("peak_tensors_mib").get<double>() >= 2 * image);
  CHECK(row.at("reserved_mib").get<double>() >= row.at("peak_tensors_mib").get<double>());
  const Outcome refused = run_bench({"--case", "op_smooth_16x128_fwdbwd", "--device", "gpu"});
  CHECK(refused.code != 0);
  CHECK(refused.err.find("--device") != std::string::npos);
}

TEST_CASE("g2s_bench --schedule times the phases of a fit until it is stopped") {
  const json row = last_line(run_bench({"--schedule", "default", "--scale", "0.001", "--seconds", "0.001", "--json"}).out);
  CHECK(row.at("finished") == false);
  REQUIRE(row.at("phases").size() >= 1);
  CHECK(row.at("phases")[0].at("phase") == "projection");
  CHECK(row.at("phases")[0].at("done") >= 1);
  CHECK(row.at("seconds_expected").get<double>() > row.at("seconds").get<double>());
}

TEST_CASE("g2s_bench --compare says what changed beyond the scatter") {
  TemporaryFolder folder;
  write_run(folder / "a.json", {{"same", 1.0}, {"faster", 2.0}, {"slower", 1.0}, {"gone", 1.0}});
  write_run(folder / "b.json", {{"same", 1.01}, {"faster", 1.0}, {"slower", 2.0}, {"new", 1.0}});
  const Outcome done = run_bench({"--compare", folder / "a.json", folder / "b.json"});
  CHECK(done.code == 0);
  std::map<std::string, std::string> line_of;
  std::istringstream lines(done.out);
  for (std::string line; std::getline(lines, line);) line_of[line.substr(0, line.find(' '))] = line;
  auto says = [&](const std::string& name, const std::string& what) { return line_of[name].find(what, name.size()) != std::string::npos; };
  CHECK(says("same", "1.010"));
  CHECK_FALSE(says("same", "faster"));
  CHECK_FALSE(says("same", "SLOWER"));
  CHECK(says("faster", "faster"));
  CHECK(says("slower", "SLOWER"));
  CHECK(says("gone", "only in " + (folder / "a.json")));
  CHECK(says("new", "only in " + (folder / "b.json")));
  CHECK(done.out.find("3 cases, geometric mean of the ratios 1.003") != std::string::npos);

  std::ofstream(folder / "broken.json") << "{\"results\": 3}";
  const Outcome broken = run_bench({"--compare", folder / "a.json", folder / "broken.json"});
  CHECK(broken.code != 0);
  CHECK(broken.err.find("broken.json") != std::string::npos);
}

#endif
