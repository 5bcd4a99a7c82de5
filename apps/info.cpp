#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/assets.h"
#include "apps/commands.h"
#include "engine/image.h"
#include "engine/parallel.h"
#include "engine/safetensors.h"
#include "kernels/isa.h"
#include "models/gan2shape/config.h"
#include "models/stylegan2_discriminator.h"
#include "models/stylegan2_generator.h"

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

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

json weights_info(const std::string& path) {
  const SafetensorsFile file(path);
  std::int64_t numbers = 0;
  for (const auto& entry : file.entries()) numbers += entry.shape.numel();
  json info = {{"file", path}, {"kind", "safetensors"}, {"tensors", file.entries().size()}, {"numbers", numbers}};
  if (file.contains("style.1.weight")) {
    const GeneratorConfig g = generator_config(file);
    info["kind"] = "StyleGAN2 generator";
    info["size"] = g.size, info["channels"] = g.channels, info["latents"] = g.latents(), info["style_dim"] = g.style_dim;
  } else if (file.contains("final_linear.0.weight")) {
    const DiscriminatorConfig d = discriminator_config(file);
    info["kind"] = "StyleGAN2 discriminator";
    info["size"] = d.size, info["channels"] = d.channels;
  } else if (file.contains("lin0.weight")) {
    info["kind"] = "LPIPS";
  } else if (file.contains("outconv.weight")) {
    info["kind"] = "U-2-Net-p";
  }
  if (!file.metadata().empty()) info["metadata"] = file.metadata();
  return info;
}

json file_info(const std::string& path) {
  if (ends_with(path, ".safetensors")) return weights_info(path);
  const ImageInfo i = image_info(path);
  return {{"file", path},     {"kind", "picture"},           {"width", i.width},   {"height", i.height},
          {"channels", i.channels}, {"bits", i.bit_depth}, {"orientation", i.orientation}};
}

json describe_weights(const std::string& folder) {
  if (!fs::is_directory(folder)) fail(Errc::io, folder, fs::exists(folder) ? "is not a folder" : "does not exist");
  json all = json::array();
  for (const char* name : {"stylegan2_g", "stylegan2_d", "lpips_vgg", "u2netp"}) {
    const std::string path = folder + "/" + name + ".safetensors";
    if (fs::exists(path)) all.push_back(weights_info(path));
  }
  return all;
}

void print_info(const json& info) {
  std::cout << info.at("file").get<std::string>() << ": " << info.at("kind").get<std::string>();
  for (const auto& [key, value] : info.items()) {
    if (key == "file" || key == "kind" || key == "metadata") continue;
    std::cout << ", " << key << ' ' << (value.is_string() ? value.get<std::string>() : value.dump());
  }
  std::cout << '\n';
  if (!info.contains("metadata")) return;
  for (const auto& [key, value] : info["metadata"].items()) std::cout << "  " << key << ": " << value.get<std::string>() << '\n';
}

int run(const Options& o) {
  apply_machine_options(o.machine);
  json out;
  if (!o.files.empty()) {
    out["files"] = json::array();
    for (const std::string& path : o.files) out["files"].push_back(file_info(path));
  } else {
    out = {{"version", program_version}, {"device", "cpu"},           {"instructions", kernels::to_string(kernels::isa())},
           {"threads", num_threads()},   {"presets", preset_names()}, {"assets", assets_folder()}};
    out["weights"] = describe_weights(o.weights.empty() ? assets_folder() : o.weights);
  }
  if (o.as_json) {
    std::cout << out.dump(2) << '\n';
    return 0;
  }
  if (o.files.empty()) {
    std::cout << "gan2shape " << program_version << ", device cpu (" << kernels::to_string(kernels::isa()) << ", " << num_threads()
              << " threads), no CUDA in this build\npresets:";
    for (const std::string& name : preset_names()) std::cout << ' ' << name;
    std::cout << "\nassets: " << out["assets"].get<std::string>() << '\n';
  }
  for (const json& info : out[o.files.empty() ? "weights" : "files"]) print_info(info);
  return 0;
}

}  // namespace

Command add_info(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("files", o->files, "Pictures and .safetensors files to tell about")->type_name("FILE");
  app.add_option("--weights", o->weights, "Tell about the weights in this folder instead of the program's own")->type_name("DIR");
  app.add_flag("--json", o->as_json, "Print as JSON");
  add_machine_options(app, o->machine);
  return [o] { return run(*o); };
}

}  // namespace g2s::app
