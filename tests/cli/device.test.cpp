// --device of the program, with the emulated device; and what it says of machines that lack something.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "engine/files.h"
#include "engine/npy.h"
#include "engine/safetensors.h"
#include "kernels/isa.h"
#include "tests/cli/program.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

using nlohmann::json;
using Arguments = std::vector<std::string>;

Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// On a machine as G2S_SIMT_MACHINE describes it.
Outcome run(const Arguments& arguments, const std::string& machine = "", Arguments settings = {}) {
  if (!machine.empty()) settings.push_back("G2S_SIMT_MACHINE=" + machine);
  return run_program(arguments, {.program = G2S_PROGRAM_EMULATED, .settings = settings});
}

void check_refused(const Outcome& outcome, const std::string& sentence) {
  CHECK(outcome.code == 1);
  CHECK(outcome.err == "gan2shape: " + sentence + "\n");
}

Tensor drawn(const TemporaryFolder& folder, const Arguments& more, const std::string& machine = "") {
  const Outcome outcome = run(Arguments{"generate", "--force", "--count", "2", "--raw", "--out", folder / "raw"} + more, machine);
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  return read_npy(folder / "raw/images.npy");
}

Arguments fit(const TemporaryFolder& folder) {
  return {"reconstruct", source_path("assets/heads/000_64.png"), "--out", folder / "out"};
}

}  // namespace

TEST_CASE("device: generate draws what it draws on the CPU, in every precision, on any device of the machine") {
  TemporaryFolder folder;
  const Tensor host = drawn(folder, {"--device", "cpu"}), device = drawn(folder, {"--device", "cuda"});
  CHECK(rel_error(device, host) < 1e-5);
  CHECK(!same_bits(device, host));  // it did run elsewhere
  CHECK(same_bits(drawn(folder, {}), device));  // auto
  CHECK(same_bits(drawn(folder, {"--device", "cuda:1"}, "devices=2"), device));
  const Tensor tf32 = drawn(folder, {"--device", "cuda", "--precision", "tf32"}), bf16 = drawn(folder, {"--device", "cuda", "--precision", "bf16"});
  CHECK(rel_error(tf32, host) > 1e-5);
  CHECK(rel_error(tf32, host) < 2e-3);
  CHECK(rel_error(bf16, host) > rel_error(tf32, host));
  CHECK(rel_error(bf16, host) < 2e-2);
}

TEST_CASE("device: prior fits the depth network that it fits on the CPU") {
  TemporaryFolder folder;
  const std::string path = folder / "prior.safetensors", kept = folder / "kept.safetensors";
  double loss[2] = {};
  for (const char* device : {"cpu", "cuda"}) {
    const Outcome outcome = run({"prior", "--force", "--device", device, "--out", path, "--count", "1", "--iterations", "3"});
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    const std::size_t at = outcome.out.rfind("loss ");
    REQUIRE(at != std::string::npos);
    loss[device == std::string("cuda")] = std::stod(outcome.out.substr(at + 5));
    if (device == std::string("cpu")) write_file(kept, read_file(path));
  }
  CHECK(loss[1] == doctest::Approx(loss[0]).epsilon(0.01));
  const SafetensorsFile host(kept), device(path);
  REQUIRE(device.entries().size() == host.entries().size());
  for (const auto& entry : host.entries()) {
    INFO(entry.name);
    if (entry.name.find(".bias") != std::string::npos) continue;  // 0 before; Adam makes large what is rounding where a norm follows
    CHECK(rel_error(device.get(entry.name).to(DType::f32), host.get(entry.name).to(DType::f32)) < 1e-2);
  }
}

TEST_CASE("device: what a machine lacks is said in one sentence; auto then takes the CPU") {
  TemporaryFolder folder;
  const auto refused = [&](const char* machine, const std::string& reason) {
    CAPTURE(machine);
    check_refused(run(fit(folder) + Arguments{"--device", "cuda"}, machine), "--device: " + reason);
    CHECK(entries(folder / "out").empty());
    CHECK(run({"generate", "--force", "--count", "1", "--out", folder / "auto"}, machine).code == 0);
    CHECK(run({"info"}, machine).out.find("device cpu") != std::string::npos);
  };
  refused("driver=0", "there is no cuda:0: there is no CUDA driver");
  refused("driver=12020", "there is no cuda:0: the driver knows CUDA up to 12.2, this program needs 13.0");
  refused("devices=0", "there is no cuda:0: no CUDA-capable device is detected");
  refused("kernels=0,capability=61",
          "cuda:0: SIMT emulator (sm_61) does not run the kernels of this program: no kernel image is available for execution on the device");
  check_refused(run(fit(folder) + Arguments{"--device", "cuda:2"}, "devices=2"),
                "--device: there is no cuda:2, the machine has 2 CUDA device(s)");
  check_refused(run({"evaluate", folder / "out", "--truth", folder.path(), "--device", "cuda"}),
                "--device: this command works on the CPU alone");
}

TEST_CASE("device: a precision that the device has no unit for is refused, whatever the processor has") {
  TemporaryFolder folder;
  for (const char* precision : {"bf16", "tf32"}) {
    const Arguments arguments = fit(folder) + Arguments{"--device", "cuda", "--precision", precision};
    check_refused(run(arguments, "capability=75"), str("--precision: ", precision,
                                                       " needs tensor cores of compute capability 8.0, but cuda:0 (SIMT emulator) has 7.5"));
  }
  CHECK(entries(folder / "out").empty());
  check_refused(run(fit(folder) + Arguments{"--device", "cpu", "--precision", "tf32"}),
                "--precision: tf32 is for CUDA devices; the CPU has f32 and bf16");
  CHECK(run({"generate", "--count", "1", "--out", folder / "a", "--device", "cuda", "--precision", "bf16"}, "", {"G2S_BF16=none"}).code == 0);
}

TEST_CASE("device: too little memory is said before the work, or when it runs out, with what helps") {
  TemporaryFolder folder;
  const Outcome limited = run(fit(folder) + Arguments{"--device", "cuda", "--memory-limit", "100M"});
  CHECK(limited.code == 1);
  CHECK(limited.err.find("--memory-limit: 100M is less than the ") != std::string::npos);
  CHECK(limited.err.find(" that the preset 'default' needs with one picture at a time\n") != std::string::npos);
  const auto runs_out = [&](const char* machine, const Arguments& more, const std::vector<std::string>& words) {
    const Outcome out = run(fit(folder) + Arguments{"--device", "cuda"} + more, machine);
    CHECK(out.code == 1);
    INFO(out.err);
    CHECK(std::count(out.err.begin(), out.err.end(), '\n') == 1);
    for (const std::string& word : words) CHECK(out.err.find(word) != std::string::npos);
  };
  runs_out("memory=300000000", {}, {"gan2shape: 000_64: ", " bytes on cuda:0, of whose 286M ", " are free, with ", " in use; a --memory-limit "});
  runs_out("memory=300000000", {"--memory-limit", "1G", "--jobs", "2"}, {" in use; a smaller --memory-limit ", "fewer --jobs"});
}

TEST_CASE("device: a kernel that fails while the host goes on is named") {
  TemporaryFolder folder;
  const Arguments arguments = {"generate", "--count", "1", "--out", folder / "a", "--device", "cuda"};
  const Outcome later = run(arguments, "failing=conv_forward");
  INFO(later.err);
  CHECK(later.code == 1);
  CHECK(later.err.find(": the device reports an error after this kernel or graph was launched: an illegal memory access") != std::string::npos);
  CHECK(later.err.find("CUDA_LAUNCH_BLOCKING=1") != std::string::npos);
  const Outcome at_once = run(arguments, "failing=conv_forward", {"CUDA_LAUNCH_BLOCKING=1"});
  CHECK(at_once.code == 1);
  CHECK(at_once.err.find("gan2shape: conv_forward: the device reports an error after this kernel or graph was launched: an illegal memory access") == 0);
}
