#include "models/gan2shape/trace.h"

#include <iostream>

#include "apps/commands.h"
#include "apps/definitions.h"
#include "engine/files.h"
#include "engine/shown.h"

namespace g2s::app {
namespace {

struct Options {
  std::string description, out, dtype = "f64";
  bool force = false;
  MachineOptions machine;
};

int run(const Options& o) {
  const CommandContext context(context_options(o.machine));
  TraceOptions options;
  options.device = Context::current().options().device;
  options.lpips = find_weights(weight_source(), "default", {.lpips = true}).lpips;
  options.dtype = o.dtype == "f32" ? DType::f32 : DType::f64;
  require_free(o.out, o.force);
  AtomicFile probe(o.out);  // that it can be written is known before the work, not after
  const NamedTensors tensors = run_trace(o.description, options);
  write_safetensors(o.out, tensors);
  std::cout << tensors.size() << " tensors in " << shown(o.out) << '\n';
  return 0;
}

}  // namespace

Command add_trace(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("description", o->description, "NAME.json: inputs and constants")->type_name("FILE")->required();
  app.add_option("-o,--out", o->out, "Where to write the tensors (.safetensors)")->type_name("FILE")->required();
  app.add_option("--dtype", o->dtype, "f64, as the golden runs, or f32, as a fit computes")->type_name("TYPE")->check(one_of({"f64", "f32"}))->capture_default_str();
  add_force_option(app, o->force);
  group(app, Part::results, {"--out", "--dtype"});
  add_machine_options(app, o->machine);
  return [o] { return run(*o); };
}

}  // namespace g2s::app
