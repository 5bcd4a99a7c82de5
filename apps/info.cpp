#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/definitions.h"
#include "apps/settings.h"
#include "engine/image.h"
#include "engine/json_text.h"
#include "engine/parallel.h"
#include "engine/shown.h"
#include "kernels/machine.h"
#include "models/gan2shape/config.h"
#include "weights_converter/checkpoint.h"
#include "weights_converter/plan.h"
#include "weights_converter/text.h"

namespace g2s::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Options {
  std::vector<std::string> files;
  std::string weights;
  bool as_json = false;
  MachineOptions machine;
};

// A checkpoint of any format; what it is, if that can be told by its names and shapes.
json weights_info(const std::string& path) {
  const auto file = convert::open_checkpoint(path);
  std::int64_t numbers = 0;
  json tensors = json::array();
  for (const auto& t : file->tensors) {
    numbers += t.numel();
    tensors.push_back({{"name", t.name}, {"dtype", convert::to_string(t.type)}, {"shape", t.shape}});
  }
  json info = {{"file", path}, {"kind", "tensors"}, {"format", convert::to_string(file->format)}, {"tensors", tensors.size()}, {"numbers", numbers}};
  try {
    const convert::ConversionPlan plan = convert::make_plan({file}, {});
    info["kind"] = plan.kind, info["description"] = plan.description;
    for (const auto& [key, value] : plan.metadata) info["metadata"][key] = value;
    if (plan.kind.find("stylegan") != std::string::npos) info["size"] = std::stoll(plan.metadata.at("size"));
    for (const std::string& note : plan.notes) info["notes"].push_back(with_options(note));
  } catch (const Error& e) {
    info["notes"] = {with_options(e.message())};  // it looks like a network and is not quite one
  }
  for (const std::string& note : file->notes) info["notes"].push_back(note);
  for (const auto& [key, value] : file->metadata) info["metadata"][key] = value;
  info["list"] = std::move(tensors);
  return info;
}

json file_info(const std::string& path) {
  if (!is_image(path)) return weights_info(path);
  const ImageInfo i = image_info(path);
  return {{"file", path},     {"kind", "picture"},           {"width", i.width},   {"height", i.height},
          {"channels", i.channels}, {"bits", i.bit_depth}, {"orientation", i.orientation}};
}

// One file that cannot be read does not hide what is known of the others.
json info_or_error(const std::string& path) {
  try {
    return file_info(path);
  } catch (const Error& e) {
    if (e.code() == Errc::cancelled) throw;
    return {{"file", path}, {"error", message_of(e)}};
  }
}

json describe_weights(const std::string& folder) {
  if (!fs::is_directory(folder)) fail(Errc::io, folder, fs::exists(folder) ? "is not a folder" : "does not exist");
  json all = json::array();
  for (const char* name : {"stylegan2_g", "stylegan2_d", "mobilestylegan", "lpips_vgg", "u2netp", "face_detector", "face_landmarks"}) {
    const std::string path = folder + "/" + name + ".safetensors";
    if (fs::exists(path)) all.push_back(info_or_error(path));
  }
  return all;
}

// Names come from files and are shown as plain text.
std::string shown(const json& value) {
  return convert::printable(value.is_string() ? value.get<std::string>() : json_text(value, -1), 400);
}

void print_weights(const json& info, bool with_list) {
  std::cout << g2s::shown(info.at("file").get<std::string>()) << ": "
            << (info.contains("description") ? shown(info["description"]) : "tensors") << "; " << info.at("format").get<std::string>()
            << ", " << info.at("tensors") << " tensors, " << info.at("numbers") << " numbers\n";
  for (const json& note : info.value("notes", json::array())) std::cout << "  " << shown(note) << '\n';
  const json metadata = info.value("metadata", json::object());
  for (const auto& [key, value] : metadata.items()) {
    const bool shown_already = key == "kind" || key == "what", too_long = key == "graph" && !with_list;
    if (!shown_already && !too_long) std::cout << "  " << convert::printable(key) << ": " << shown(value) << '\n';
  }
  if (!with_list) return;
  for (const json& t : info["list"]) std::cout << "  " << shown(t["name"]) << ' ' << shown(t["dtype"]) << ' ' << t["shape"].dump() << '\n';
}

void print_info(const json& info, bool with_list) {
  if (info.contains("error")) return;
  if (info.contains("format")) return print_weights(info, with_list);
  std::cout << g2s::shown(info.at("file").get<std::string>()) << ": picture";
  for (const auto& [key, value] : info.items())
    if (key != "file" && key != "kind") std::cout << ", " << key << ' ' << json_text(value, -1);
  std::cout << '\n';
}

int run(const Options& o) {
  const CommandContext context(context_options(o.machine, DeviceSupport::cpu));
  json out;
  if (!o.files.empty()) {
    out["files"] = json::array();
    for (const std::string& path : o.files) out["files"].push_back(info_or_error(path));
  } else {
    out = {{"version", program_version}, {"device", "cpu"},           {"instructions", instruction_set()},
           {"threads", num_threads()},   {"presets", preset_names()}, {"assets", assets_folder(weight_source().assets)}};
    out["pictures"] = picture_libraries();
    out["cuda"] = cuda_devices();
    out["weights"] = describe_weights(o.weights.empty() ? assets_folder(weight_source().assets) : o.weights);
  }
  bool all_read = true;
  for (const json& info : out[o.files.empty() ? "weights" : "files"]) {
    if (!info.contains("error")) continue;
    all_read = false;
    std::cerr << "gan2shape: " << g2s::shown(info["error"].get<std::string>()) << '\n';
  }
  const int code = all_read ? 0 : 1;
  if (o.as_json) {
    std::cout << json_text(out) << '\n';
    return code;
  }
  if (o.files.empty()) {
    std::cout << "gan2shape " << program_version << ", device cpu (" << instruction_set() << ", " << num_threads()
              << " threads), " << cuda_devices() << "\npresets:";
    for (const std::string& name : preset_names()) std::cout << ' ' << name;
    std::cout << "\npictures are read by " << picture_libraries() << "\nassets: " << g2s::shown(out["assets"].get<std::string>()) << '\n';
  }
  for (const json& info : out[o.files.empty() ? "weights" : "files"]) print_info(info, !o.files.empty());
  return code;
}

}  // namespace

Command add_info(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("files", o->files, "Pictures and checkpoints of any format to tell about")->type_name("FILE");
  app.add_option("--weights", o->weights, "Tell about the weights in this folder instead of the program's own")->type_name("DIR");
  app.add_flag("--json", o->as_json, "Print as JSON");
  group(app, Part::input, {"--weights"});
  group(app, Part::results, {"--json"});
  add_machine_options(app, o->machine);
  return [o] { return run(*o); };
}

}  // namespace g2s::app
