// What makes a network another one although its tensors are StyleGAN2's: labels, activations, kernels, settings of its modules.
#include <algorithm>
#include <array>
#include <cmath>

#include "engine/error.h"
#include "weights_converter/other_networks.h"
#include "weights_converter/stylegan2_layout.h"
#include "weights_converter/text.h"

namespace g2s::convert {
namespace {

constexpr std::array<double, 4> blur = {1, 3, 3, 1};

bool is_blur(const SourceTensor& kernel) {
  if (kernel.shape == Dims{4}) {
    const std::vector<double> values = read_values(kernel, 4);
    return std::equal(values.begin(), values.end(), blur.begin(),
                      [&](double v, double want) { return std::abs(v / values[0] - want) < 1e-5; });
  }
  if (kernel.shape != Dims{4, 4}) return false;
  const std::vector<double> values = read_values(kernel, 16);
  double sum = 0;
  for (double v : values) sum += v;
  for (std::size_t i = 0; i < 16; ++i)
    if (!(std::abs(values[i] / sum - blur[i / 4] * blur[i % 4] / 64) < 1e-6)) return false;
  return true;
}

bool one_of(const std::string& name, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(), [&](const char* n) { return name == n; });
}

class NetworkChecks {
 public:
  NetworkChecks(const StyleGan2Network& network, Role role)
      : network_(network), layout_(*network.layout), scope_(network.scope), role_(role) {}

  void run() {
    other_network();
    labels();
    tensorflow_settings();
    kernels();
    const Value* root = ada_module(network_, {});
    if (root && root->object()) module(*root, "", 0);
  }

 private:
  const char* what() const { return role_ == Role::generator ? "generators" : "discriminators"; }

  template <class... Parts> [[noreturn]] void refuse(const Parts&... parts) const { fail(Errc::unsupported, scope_.path(), parts...); }

  void other_network() {
    if (const auto other = find_other_network(scope_.checkpoint(), scope_.prefix()))
      refuse("has ", other->title, ", which is not supported: its tensor ", printable(other->tensor), " says so");
  }

  void labels() {
    for (const char* name : layout_.conditional)
      if (scope_.has(name)) refuse(scope_.shown(name), ": class-conditional ", what(), " are not supported");
    const Value* classes = network_setting(network_, "label_size");
    if (const Value* root = ada_module(network_, {})) classes = root->get("c_dim");
    if (const auto count = number_of(classes); count && *count > 0)
      refuse("was trained for ", *count, " classes: class-conditional ", what(), " are not supported");
  }

  void activation(const Value* value, const std::string& where, const std::string& wanted) {
    const std::string* name = value ? value->string() : nullptr;
    if (name && *name != wanted)
      refuse("the activation ", printable(*name), where.empty() ? "" : " of " + printable(where), " is not supported, only ", wanted);
  }

  void tensorflow_settings() {
    for (const char* name : {"nonlinearity", "mapping_nonlinearity"}) activation(network_setting(network_, name), "", "lrelu");
    if (const Value* value = network_setting(network_, "architecture")) architecture(*value, "");
    const Value* normalised = network_setting(network_, "normalize_latents");
    if (normalised && normalised->boolean() && !*normalised->boolean())
      refuse("its mapping does not normalise what it maps, which is not supported");
    const Value* kernel = network_setting(network_, "resample_kernel");
    if (!kernel || !kernel->items()) return;
    bool same = kernel->items()->size() == blur.size();
    for (std::size_t i = 0; same && i < blur.size(); ++i) same = number_of(kernel->at(i)) == blur[i];
    if (!same) refuse("the network resamples by another kernel than 1 3 3 1");
  }

  void architecture(const Value& value, const std::string& where) {
    const char* wanted = role_ == Role::generator ? "skip" : "resnet";
    if (const std::string* name = value.string(); name && *name != wanted)
      refuse("the architecture ", printable(*name), where.empty() ? "" : " of " + printable(where), " is not supported, ", what(),
             " must be ", wanted);
  }

  // Of NVIDIA's modules those that keep their size may have a kernel of one number, which does nothing.
  bool resamples(const std::string& kernel) const {
    if (network_.layout != &ada_layout()) return true;
    const std::string owner = kernel.substr(0, kernel.rfind('.')), last = owner.substr(owner.rfind('.') + 1);
    if (role_ == Role::discriminator) return last == "conv1" || last == "skip";
    return last == "conv0" || (last.starts_with("b") && last != "b4");
  }

  void kernels() {
    if (!layout_.kernel_end) return;
    for (const std::string& name : scope_.names()) {
      if (!ends_with(name, layout_.kernel_end)) continue;
      const SourceTensor& kernel = *scope_.find(name);
      if (is_blur(kernel) || (kernel.numel() == 1 && !resamples(name))) continue;
      refuse(printable(kernel.name), " is another blur than 1 3 3 1");
    }
  }

  // A module of NVIDIA's PyTorch code and all below it.
  void module(const Value& value, const std::string& path, int depth) {
    constexpr int deepest = 20;
    const std::string name = path.substr(path.rfind('.') + 1), full = scope_.prefix() + path;
    const bool linear = one_of(name, {"affine", "skip", "torgb", "out", "embed"});
    activation(value.get("activation"), full, linear ? "linear" : "lrelu");
    if (const Value* kind = value.get("architecture")) architecture(*kind, full);
    const Value* below = value.get("_modules");
    if (!below || !below->dict() || depth == deepest) return;
    for (const auto& [key, child] : *below->dict())
      if (key->string() && child->object()) module(*child, path.empty() ? *key->string() : path + "." + *key->string(), depth + 1);
  }

  const StyleGan2Network& network_;
  const StyleGan2Layout& layout_;
  const Scope& scope_;
  Role role_;
};

}  // namespace

void check_network(const StyleGan2Network& network, Role role) { NetworkChecks(network, role).run(); }

void check_colours(const StyleGan2Network& network, const std::string& tensor, std::int64_t colours, Role role) {
  if (colours == 3) return;
  const char* known = colours == 1 ? " (grey)" : colours == 4 ? " (RGBA)" : "";
  fail(Errc::unsupported, network.scope.path(), network.scope.shown(tensor), ": the ",
       role == Role::generator ? "generator draws" : "discriminator takes", " pictures of ", colours,
       colours == 1 ? " channel" : " channels", known, ", only RGB is supported");
}

}  // namespace g2s::convert
