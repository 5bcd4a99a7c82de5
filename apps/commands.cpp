#include "apps/commands.h"

#include <filesystem>

#include "engine/accelerator.h"
#include "engine/error.h"
#include "engine/parallel.h"

namespace g2s::app {

void add_machine_options(CLI::App& app, MachineOptions& options) {
  app.add_option("--threads", options.threads, "Threads to use; 0: all. The results do not depend on it")->type_name("N");
  app.add_option("--device", options.device, "cpu, cuda or cuda:N (CUDA's device N, from 0 on), or auto: cuda where there is one, else cpu")->type_name("NAME")->capture_default_str();
}

void add_precision_option(CLI::App& app, std::string& precision) {
  app.add_option("--precision", precision,
                 "f32, or what convolutions round their inputs to, while sums stay f32: bf16 (bfloat16, quicker on processors with AMX and on CUDA "
                 "devices) or tf32 (11 bits, on CUDA devices alone)")
      ->type_name("NAME")
      ->capture_default_str();
}

Device apply_machine_options(const MachineOptions& options, DeviceSupport support) {
  if (options.threads < 0 || options.threads > 1024) fail(Errc::invalid_argument, "--threads", options.threads, " is not between 0 and 1024");
  const bool host = support == DeviceSupport::cpu;
  const Device device = host && options.device == "auto" ? Device{} : device_from(options.device, "--device");
  if (host && device.type != DeviceType::cpu) fail(Errc::unsupported, "--device", "this command runs no networks, so it works on the CPU alone");
  set_num_threads(options.threads);
  return device;
}

WeightSource weight_source(const std::string& folder) {
  std::error_code ignored;
  const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  return {folder, {here / "../share/gan2shape/assets", here / "../../assets", G2S_SOURCE_ASSETS}};
}

}  // namespace g2s::app
