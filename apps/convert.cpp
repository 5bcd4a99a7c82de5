#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/definitions.h"
#include "apps/settings.h"
#include "engine/error.h"
#include "engine/json_text.h"
#include "engine/shown.h"
#include "weights_converter/text.h"
#include "weights_converter/write.h"

namespace g2s::app {
namespace {

using nlohmann::json;

struct Options {
  std::vector<std::string> files;
  std::string dtype;
  bool force = false, json = false;
  convert::Request request;
};

constexpr convert::NumberType written_types[] = {convert::NumberType::f16, convert::NumberType::f32, convert::NumberType::bf16};

std::vector<std::string> dtype_names() {
  std::vector<std::string> out;
  for (convert::NumberType type : written_types) out.push_back(convert::to_string(type));
  return out;
}

std::optional<convert::NumberType> dtype_named(const std::string& name) {
  for (convert::NumberType type : written_types)
    if (name == convert::to_string(type)) return type;
  return std::nullopt;
}

bool is_folder(const std::string& path) { return (!path.empty() && path.back() == '/') || std::filesystem::is_directory(path); }

std::string in_folder(const std::string& folder, const convert::ConversionPlan& plan) {
  const std::string name = convert::usual_file(plan.kind);
  if (name.empty()) fail(Errc::invalid_argument, folder, "is a folder: name the .safetensors file that the ", plan.kind, " should be");
  return (std::filesystem::path(folder) / name).string();
}

int run(const Options& o) {
  const CommandContext context({});
  convert::Request request = o.request;
  request.dtype = dtype_named(o.dtype);
  // Whoever forgets OUT must not lose a checkpoint.
  const bool folder = is_folder(o.files.back());
  if (!folder && std::filesystem::path(o.files.back()).extension() != ".safetensors")
    fail(Errc::invalid_argument, o.files.back(), "is the output, which must end in .safetensors, or be a folder (or end in /)");
  std::vector<std::shared_ptr<const convert::Checkpoint>> inputs;
  for (std::size_t i = 0; i + 1 < o.files.size(); ++i) inputs.push_back(convert::open_checkpoint(o.files[i]));
  convert::ConversionPlan plan = convert::make_plan(inputs, request);
  for (std::string& note : plan.notes) note = with_options(note);
  for (const auto& input : inputs) plan.notes.insert(plan.notes.end(), input->notes.begin(), input->notes.end());
  const std::string out = folder ? in_folder(o.files.back(), plan) : o.files.back();
  const std::string meant = convert::kind_of_usual_file(std::filesystem::path(out).filename().string());
  if (request.kind == "auto" && !meant.empty() && meant != plan.kind)
    fail(Errc::invalid_argument, out, "is the name of a ", meant, ", but ", o.files[0], " is ",
         plan.kind == "tensors" ? "no network that is known" : "a " + plan.kind, ": name another file, or say --kind ", plan.kind);
  require_free(out, o.force);
  convert::write_plan(out, plan, inputs);
  if (o.json) {
    json formats = json::array();
    for (const auto& input : inputs) formats.push_back({{"file", input->path}, {"format", convert::to_string(input->format)}});
    std::cout << json_text({{"inputs", formats},
                            {"kind", plan.kind},
                            {"description", plan.description},
                            {"tensors", plan.tensors.size()},
                            {"notes", plan.notes},
                            {"metadata", plan.metadata},
                            {"file", out}})
              << '\n';
    return 0;
  }
  std::cout << convert::printable(plan.description, 400) << '\n';
  for (const auto& input : inputs) std::cout << "  from " << shown(input->path) << " (" << convert::to_string(input->format) << ")\n";
  for (const std::string& note : plan.notes) std::cout << "  " << convert::printable(note, 400) << '\n';
  std::cout << "  " << plan.tensors.size() << (plan.tensors.size() == 1 ? " tensor in " : " tensors in ") << shown(out) << '\n';
  return 0;
}

}  // namespace

Command add_convert(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("files", o->files, "The checkpoint, or several that belong together (LPIPS heads and VGG16; a generator and a head for it), then the .safetensors file to "
                 "write, or a folder for a file of the usual name")
      ->type_name("IN... OUT")
      ->required()
      ->expected(2, 1000);
  app.add_option("--kind", o->request.kind,
                 "What it is: auto, mobilestylegan, stylegan2-generator, stylegan2-discriminator, lpips, u2netp, face-detector, face-landmarks, bisenet, "
                 "pspnet, gan2shape-nets or tensors (everything as it is)")
      ->type_name("NAME")
      ->check(one_of(convert::kind_names()))
      ->capture_default_str();
  app.add_option("--network", o->request.network, "Which of several in a file: g_ema, g, d, G_ema, G, D, Gs; else G_ema or Gs")->type_name("NAME");
  app.add_option("--dtype", o->dtype, "Convert floating-point numbers: f16, f32 or bf16; else they stay as they are")
      ->type_name("TYPE")
      ->check(one_of(dtype_names()));
  app.add_flag("--allow-nonfinite", o->request.allow_nonfinite,
               "Write numbers that are infinite, become so in the wanted type, or are none");
  add_force_option(app, o->force);
  app.add_flag("--json", o->json, "Print the result as JSON");
  group(app, Part::input, {"--kind", "--network"});
  group(app, Part::results, {"--dtype", "--allow-nonfinite", "--json"});
  return [o] { return run(*o); };
}

}  // namespace g2s::app
