#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/settings.h"
#include "engine/error.h"
#include "weights_converter/text.h"
#include "weights_converter/write.h"

namespace g2s::app {
namespace {

using nlohmann::json;

struct Options {
  std::vector<std::string> files;
  std::string dtype;
  bool json = false;
  convert::Request request;
};

std::optional<convert::NumberType> dtype_named(const std::string& name) {
  using enum convert::NumberType;
  if (name.empty()) return std::nullopt;
  for (convert::NumberType type : {f16, f32, bf16})
    if (name == convert::to_string(type)) return type;
  fail(Errc::invalid_argument, "--dtype", "'", name, "' is none of f16, f32, bf16");
}

int run(const Options& o) {
  const CommandContext context({});
  convert::Request request = o.request;
  request.dtype = dtype_named(o.dtype);
  const std::string& out = o.files.back();
  // Whoever forgets OUT must not lose a checkpoint.
  if (std::filesystem::path(out).extension() != ".safetensors") fail(Errc::invalid_argument, out, "is the output, which must end in .safetensors");
  std::vector<std::shared_ptr<const convert::Checkpoint>> inputs;
  for (std::size_t i = 0; i + 1 < o.files.size(); ++i) inputs.push_back(convert::open_checkpoint(o.files[i]));
  convert::ConversionPlan plan = convert::make_plan(inputs, request);
  for (std::string& note : plan.notes) note = with_options(note);
  convert::write_plan(out, plan, inputs);
  if (o.json) {
    json formats = json::array();
    for (const auto& input : inputs) formats.push_back({{"file", input->path}, {"format", convert::to_string(input->format)}});
    std::cout << json{{"inputs", formats}, {"kind", plan.kind}, {"description", plan.description}, {"tensors", plan.tensors.size()},
                      {"notes", plan.notes}, {"metadata", plan.metadata}, {"file", out}}
                     .dump(2, ' ', false, json::error_handler_t::replace)
              << '\n';
    return 0;
  }
  std::cout << convert::printable(plan.description, 400) << '\n';
  for (const auto& input : inputs) std::cout << "  from " << input->path << " (" << convert::to_string(input->format) << ")\n";
  for (const std::string& note : plan.notes) std::cout << "  " << convert::printable(note, 400) << '\n';
  std::cout << "  " << plan.tensors.size() << (plan.tensors.size() == 1 ? " tensor in " : " tensors in ") << out << '\n';
  return 0;
}

}  // namespace

Command add_convert(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("files", o->files, "The checkpoint, or several that belong together (LPIPS heads and VGG16), then the .safetensors file to write")
      ->type_name("IN... OUT")
      ->required()
      ->expected(2, 1000);
  app.add_option("--kind", o->request.kind,
                 "What it is: auto, stylegan2-generator, stylegan2-discriminator, lpips, u2netp, bisenet, pspnet, gan2shape-nets or tensors "
                 "(everything as it is)")
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--network", o->request.network, "Which of several in a file: g_ema, g, d, G_ema, G, D, Gs; else G_ema or Gs")->type_name("NAME");
  app.add_option("--dtype", o->dtype, "Convert floating-point numbers: f16, f32 or bf16; else they stay as they are")->type_name("TYPE");
  app.add_flag("--json", o->json, "Print the result as JSON");
  return [o] { return run(*o); };
}

}  // namespace g2s::app
