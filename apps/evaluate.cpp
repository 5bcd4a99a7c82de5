#include <iostream>

#include "apps/commands.h"
#include "apps/definitions.h"
#include "apps/table.h"
#include "engine/error.h"
#include "engine/json_text.h"
#include "engine/shown.h"

namespace g2s::app {
namespace {

using nlohmann::json;

struct Options {
  std::string results, truth;
  bool as_json = false;
  MachineOptions machine;
};

int run(const Options& o) {
  const CommandContext context(context_options(o.machine, DeviceSupport::cpu));
  const Evaluation found = evaluate(o.results, o.truth);
  for (const std::string& stem : found.skipped) {
    std::cerr << "gan2shape: " << shown(stem) << " has no " << shown(stem) << "_depth.png in " << shown(o.truth) << ", it is left out"
              << std::endl;
  }
  if (found.images.empty()) fail(Errc::io, o.truth, "holds the true depth (STEM_depth.png) of none of the reconstructions");
  if (o.as_json) {
    json images = json::object(), after = json::array();
    for (const auto& [stem, metrics] : found.images) images[stem] = metrics;
    for (const auto& [phase, metrics] : found.phases) after.push_back({{"phase", phase}, {"mean", metrics}});
    std::cout << json_text({{"pictures", images}, {"mean", mean_metrics(found.images)}, {"phases", after}, {"skipped", found.skipped}})
              << '\n';
    return 0;
  }
  print_table(std::cout, found.images);
  print_phases(std::cout, found.phases);
  return 0;
}

}  // namespace

Command add_evaluate(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("results", o->results, "The --out folder of reconstruct")->type_name("OUT")->required();
  app.add_option("--truth", o->truth, "Folder with the true depth of each picture, STEM_depth.png")->type_name("DIR")->required();
  app.add_flag("--json", o->as_json, "Print the result as JSON");
  group(app, Part::input, {"--truth"});
  group(app, Part::results, {"--json"});
  add_machine_options(app, o->machine);
  return [o] { return run(*o); };
}

}  // namespace g2s::app
