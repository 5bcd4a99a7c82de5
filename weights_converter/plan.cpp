#include "weights_converter/plan.h"

#include <algorithm>
#include <array>
#include <functional>

#include "engine/error.h"
#include "weights_converter/network_plans.h"
#include "weights_converter/other_networks.h"
#include "weights_converter/plan_tensors.h"
#include "weights_converter/stylegan2_layout.h"
#include "weights_converter/text.h"

namespace g2s::convert {
namespace {

struct Kind {
  const char* name;
  std::function<bool(const Inputs&)> matches;
  std::function<ConversionPlan(const Inputs&, const Request&)> plan;
};

const Checkpoint& only(const Inputs& inputs) {
  if (inputs.size() != 1) fail(Errc::invalid_argument, inputs.at(1)->path, "is a second input, but only LPIPS and MobileStyleGAN are made from several");
  return *inputs[0];
}

Kind of_one(const char* name, bool (*matches)(const Checkpoint&), ConversionPlan (*plan)(const Checkpoint&, const Request&)) {
  return {name, [matches](const Inputs& inputs) { return matches(*inputs[0]); },
          [plan](const Inputs& inputs, const Request& request) { return plan(only(inputs), request); }};
}

// In the order in which a file is tried.
const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {"mobilestylegan", is_mobilestylegan, plan_mobilestylegan},
      of_one("stylegan2-generator", [](const Checkpoint& c) { return !find_generators(c).empty(); }, plan_generator),
      of_one("stylegan2-discriminator", [](const Checkpoint& c) { return !find_discriminators(c).empty(); }, plan_discriminator),
      {"lpips", is_lpips, plan_lpips},
      of_one("u2netp", is_u2netp, plan_u2netp),
      of_one("face-detector", is_face_detector, plan_face_detector),
      of_one("face-landmarks", is_face_landmarks, plan_face_landmarks),
      of_one("bisenet", is_bisenet, plan_bisenet),
      of_one("pspnet", is_pspnet, plan_pspnet),
      of_one("gan2shape-nets", is_gan2shape_nets, plan_gan2shape_nets),
      {"tensors", [](const Inputs&) { return true; }, plan_tensors},
  };
  return all;
}

// A tensor that belongs to no discriminator, nor to what a training keeps beside it; null if there is none.
const SourceTensor* stranger(const Checkpoint& checkpoint, const std::vector<StyleGan2Network>& discriminators) {
  for (const SourceTensor& t : checkpoint.tensors) {
    const bool own = std::any_of(discriminators.begin(), discriminators.end(),
                                 [&](const StyleGan2Network& d) { return t.name.starts_with(d.scope.prefix()); });
    if (!own && t.shape.size() > 1 && t.name.find("optim") == std::string::npos) return &t;
  }
  return nullptr;
}

// Nobody who asks for "auto" gets a network that is not the file's first, or numbers without their meaning.
void refuse_what_is_another(const Checkpoint& checkpoint) {
  if (!find_generators(checkpoint).empty()) return;  // whose plan knows better
  const std::vector<StyleGan2Network> discriminators = find_discriminators(checkpoint);
  const std::string others =
      str(discriminators.empty() ? "" : "; `kind` stylegan2-discriminator converts the discriminator that is in it too",
          "; `kind` tensors writes everything as it is");
  if (const auto other = find_other_network(checkpoint))
    fail(Errc::unsupported, checkpoint.path, "has ", other->title, ", which is not supported (its tensor ", printable(other->tensor),
         " says so)", others);
  if (discriminators.empty()) return;
  if (const SourceTensor* t = stranger(checkpoint, discriminators))
    fail(Errc::unsupported, checkpoint.path, "has no generator that is known, but a StyleGAN2 discriminator and other tensors, such as ",
         printable(t->name), others);
}

const Kind& find_kind(const Inputs& inputs, const std::string& wanted) {
  std::string names;
  if (wanted == "auto" && inputs.size() == 1 && !is_mobilestylegan(inputs)) refuse_what_is_another(*inputs[0]);
  for (const Kind& kind : kinds()) {
    if (wanted == "auto" ? kind.matches(inputs) : wanted == kind.name) return kind;
    names += str(", ", kind.name);
  }
  fail(Errc::invalid_argument, "kind", "'", wanted, "' is none of auto", names);
}

constexpr std::pair<std::string_view, const char*> usual_files[] = {
    {"stylegan2-generator", "stylegan2_g"},
    {"stylegan2-discriminator", "stylegan2_d"},
    {"mobilestylegan", "mobilestylegan"},
    {"lpips", "lpips_vgg"},
    {"u2netp", "u2netp"},
    {"face-detector", "face_detector"},
    {"face-landmarks", "face_landmarks"},
};

// Metadata of inputs that were safetensors goes on: sources and licences are there.
void keep_metadata(const Inputs& inputs, ConversionPlan& plan) {
  for (const auto& input : inputs) plan.metadata.insert(input->metadata.begin(), input->metadata.end());
}

}  // namespace

std::vector<std::string> kind_names() {
  std::vector<std::string> out = {"auto"};
  for (const Kind& kind : kinds()) out.push_back(kind.name);
  return out;
}

OutputTensor output(const std::string& name, const SourceTensor& source) { return {name, source.type, source.shape, {source}}; }

std::string usual_file(const std::string& kind) {
  for (const auto& [known, file] : usual_files)
    if (known == kind) return str(file, ".safetensors");
  return {};
}

std::string kind_of_usual_file(const std::string& name) {
  for (const auto& [kind, file] : usual_files)
    if (name == str(file, ".safetensors")) return std::string(kind);
  return {};
}

ConversionPlan make_plan(const std::vector<std::shared_ptr<const Checkpoint>>& inputs, const Request& request) {
  if (inputs.empty()) fail(Errc::invalid_argument, "convert", "there is no input");
  ConversionPlan plan = find_kind(inputs, request.kind).plan(inputs, request);
  if (plan.kind == "stylegan2-generator" && request.kind == "auto" && !find_discriminators(*inputs[0]).empty())
    plan.notes.push_back("the file has a discriminator too: `kind` stylegan2-discriminator converts it");
  plan.allow_nonfinite = request.allow_nonfinite;
  plan.metadata["kind"] = plan.kind;
  plan.metadata["what"] = plan.description;
  keep_metadata(inputs, plan);
  return plan;
}

}  // namespace g2s::convert
