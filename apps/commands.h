// The sub-commands. Each declares its options and gives back what runs once they are parsed.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "apps/progress.h"
#include "engine/context.h"
#include "models/gan2shape/weights.h"

namespace g2s::app {

// Prints results to stdout and says on stderr what it does; throws Error. Returns the exit code.
using Command = std::function<int()>;

Command add_reconstruct(CLI::App& app);
Command add_generate(CLI::App& app);
Command add_faces(CLI::App& app);
Command add_evaluate(CLI::App& app);
Command add_trace(CLI::App& app);
Command add_convert(CLI::App& app);
Command add_info(CLI::App& app);
Command add_prior(CLI::App& app);

// Options that several commands have.
struct MachineOptions {
  int threads = 0;               // 0: all
  std::string device = "auto";
};
void add_machine_options(CLI::App& app, MachineOptions& options);
// Commands that run no networks, or small ones, work on the CPU.
enum class DeviceSupport { cpu, any };
// Checks them; throws naming the option. Of a command for the CPU alone `auto` is the CPU.
ContextOptions context_options(const MachineOptions& options, DeviceSupport support = DeviceSupport::any, const std::string& precision = "f32");
// The context that a command works in, until its end: Ctrl-C cancels it. One command at a time.
class CommandContext {
 public:
  explicit CommandContext(ContextOptions options);
  CommandContext(ContextOptions options, ProgressPrinter& printer);  // prints what the context reports and logs
  ~CommandContext();
  CommandContext(const CommandContext&) = delete;

 private:
  Context context_;
  UseContext in_;
  DefaultDevice host_{Device{}};  // tensors are on the host but for what is told otherwise
};
void interrupt_command() noexcept;  // async-signal-safe
// --precision, of the commands whose results it changes.
void add_precision_option(CLI::App& app, std::string& precision);

// --force, of the commands that write files which were named or are numbered.
void add_force_option(CLI::App& app, bool& force);
// Throws Error(io) naming a file that is there already, unless it may be replaced.
void require_free(const std::string& path, bool force);
bool is_face_number(const std::string& text);  // of --face: 1, 2 and so on

// Where weights are looked for: in the user's folder, if there is one, then beside the library.
WeightSource weight_source(const std::string& folder = {});

constexpr const char* program_version = G2S_VERSION;

}  // namespace g2s::app
