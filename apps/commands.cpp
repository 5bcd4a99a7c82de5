#include "apps/commands.h"

#include <atomic>
#include <filesystem>

#include "apps/definitions.h"
#include "apps/settings.h"
#include "engine/accelerator.h"
#include "engine/error.h"
#include "kernels/precision.h"

namespace g2s::app {

namespace {

// cuda:0 and so on
bool is_cuda_device(const std::string& name) {
  const std::string digits = name.rfind("cuda:", 0) == 0 ? name.substr(5) : "";
  return !digits.empty() && digits.size() < 5 && digits.find_first_not_of("0123456789") == std::string::npos;
}

}  // namespace

bool is_face_number(const std::string& text) {
  return !text.empty() && text.size() < 7 && text[0] != '0' && text.find_first_not_of("0123456789") == std::string::npos;
}

void add_machine_options(CLI::App& app, MachineOptions& options) {
  app.add_option("--threads", options.threads, "Threads to use; 0: all. The results do not depend on it")
      ->type_name("N")
      ->check(whole_number(0, 1024));
  app.add_option("--device", options.device, "Where the networks run; cuda:N is CUDA's device N, from 0 on, auto is cuda where there is one, else cpu")
      ->type_name("auto|cpu|cuda[:N]")
      ->check(one_of({"auto", "cpu", "cuda"}, is_cuda_device, "cuda:N"))
      ->capture_default_str();
  group(app, Part::machine, {"--threads", "--device"});
}

void add_precision_option(CLI::App& app, std::string& precision) {
  app.add_option("--precision", precision,
                 "f32, or what convolutions round their inputs to, while sums stay f32: bf16 (bfloat16, quicker on processors with AMX and on CUDA "
                 "devices) or tf32 (11 bits, on CUDA devices alone)")
      ->type_name("NAME")
      ->check(one_of({"f32", "tf32", "bf16"}))
      ->capture_default_str();
  group(app, Part::machine, {"--precision"});
}

void add_force_option(CLI::App& app, bool& force) {
  app.add_flag("--force", force, "Replace files that are there already");
  group(app, Part::results, {"--force"});
}

void require_free(const std::string& path, bool force) {
  std::error_code error;
  if (!force && std::filesystem::is_regular_file(path, error)) fail(Errc::io, path, "is there already; --force replaces it");
}

ContextOptions context_options(const MachineOptions& options, DeviceSupport support, const std::string& precision) {
  const bool host = support == DeviceSupport::cpu;
  const Device device = host && options.device == "auto" ? Device{} : device_from(options.device, "--device");
  if (host && device.type != DeviceType::cpu) fail(Errc::unsupported, "--device", "this command works on the CPU alone");
  ContextOptions out;
  out.device = device;
  out.settings.threads = options.threads;
  out.settings.precision = precision_for(precision, device);
  return out;
}

namespace {
std::atomic<bool> interrupted{false};
std::atomic<Context*> running{nullptr};
static_assert(std::atomic<Context*>::is_always_lock_free, "a signal handler reads it");
}  // namespace

CommandContext::CommandContext(ContextOptions options) : context_(std::move(options)), in_(context_) {
  running = &context_;
  if (interrupted) context_.cancel();
}

namespace {
ContextOptions printing(ContextOptions options, ProgressPrinter& printer) {
  options.progress = [&](const ProgressState& state) { printer.update(state); };
  options.log = [&](const std::string& sentence) { printer.note(with_options(sentence)); };
  return options;
}
}  // namespace

CommandContext::CommandContext(ContextOptions options, ProgressPrinter& printer) : CommandContext(printing(std::move(options), printer)) {}

CommandContext::~CommandContext() { running = nullptr; }

void interrupt_command() noexcept {
  interrupted = true;
  if (Context* context = running) context->cancel();
}

WeightSource weight_source(const std::string& folder) { return {folder, default_asset_places()}; }

}  // namespace g2s::app
