#include "apps/commands.h"

#include "engine/accelerator.h"
#include "engine/error.h"
#include "engine/parallel.h"

namespace g2s::app {

void add_machine_options(CLI::App& app, MachineOptions& options) {
  app.add_option("--threads", options.threads, "Threads to use; 0: all. The results do not depend on it")->type_name("N");
  app.add_option("--device", options.device, "auto, cpu, cuda or cuda:N")->type_name("NAME")->capture_default_str();
}

void add_precision_option(CLI::App& app, std::string& precision) {
  app.add_option("--precision", precision,
                 "f32, or bf16: convolutions multiply numbers rounded to bfloat16 and sum in f32, quicker on processors with AMX")
      ->type_name("NAME")
      ->capture_default_str();
}

Device apply_machine_options(const MachineOptions& options, DeviceSupport support) {
  if (options.threads < 0 || options.threads > 1024) fail(Errc::invalid_argument, "--threads", options.threads, " is not between 0 and 1024");
  const Device device = support == DeviceSupport::any || options.device != "auto" ? device_from(options.device, "--device") : Device{};
  if (support == DeviceSupport::cpu && device.type != DeviceType::cpu) fail(Errc::unsupported, "--device", "this command runs on the CPU only, so far");
  set_num_threads(options.threads);
  return device;
}

}  // namespace g2s::app
