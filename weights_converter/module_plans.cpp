#include "engine/error.h"
#include "weights_converter/network_plans.h"
#include "weights_converter/scope.h"

namespace g2s::convert {
namespace {

NumberType output_type(const SourceTensor& tensor, const Request& request) {
  return request.dtype && is_real(tensor.type) ? *request.dtype : tensor.type;
}

void add_as_it_is(ConversionPlan& plan, const std::string& name, const SourceTensor& tensor, const Request& request) {
  OutputTensor out = output(name, tensor);
  out.type = output_type(tensor, request);
  plan.tensors.push_back(std::move(out));
}

// Wrapped in DataParallel, a network's names begin with "module."
std::string unwrapped(const std::string& name) { return name.compare(0, 7, "module.") == 0 ? name.substr(7) : name; }

bool is_counter(const std::string& name) { return ends_with(name, "num_batches_tracked"); }

// The tensors below a prefix, under the names of their modules.
void add_modules(ConversionPlan& plan, const Scope& scope, const Request& request) {
  for (const std::string& name : scope.names())
    if (!is_counter(name)) add_as_it_is(plan, unwrapped(name), *scope.find(name), request);
  plan.metadata["tensors"] = str(plan.tensors.size());
}

// "state_dict.module." is a prefix of the names, "state_dict." of the network: "module." is cut by unwrapped().
std::string network_prefix(std::string prefix) {
  if (prefix == "module." || ends_with(prefix, ".module.")) prefix.resize(prefix.size() - 7);
  return prefix;
}

const SourceTensor* find_end(const Checkpoint& checkpoint, const char* suffix, std::size_t rank) {
  const std::vector<std::string> prefixes = prefixes_of(checkpoint, suffix);
  const SourceTensor* t = prefixes.empty() ? nullptr : checkpoint.find(prefixes[0] + suffix);
  return t && t->shape.size() == rank ? t : nullptr;
}

constexpr const char* bisenet_head = "conv_out.conv_out.weight";
constexpr const char* bisenet_body = "cp.resnet.conv1.weight";
constexpr const char* pspnet_head = "cls.4.weight";
constexpr const char* pspnet_body = "ppm.features.0.1.weight";

ConversionPlan plan_parser(const Checkpoint& checkpoint, const Request& request, const char* kind, const char* title, const char* head_name,
                           const char* body) {
  const SourceTensor* head = find_end(checkpoint, head_name, 4);
  const std::vector<std::string> prefixes = prefixes_of(checkpoint, body);
  if (!head || prefixes.empty()) fail(Errc::format, checkpoint.path, "has no ", title, ": ", head ? body : head_name, " is missing");
  ConversionPlan plan;
  plan.kind = kind;
  plan.description = str(title, ", ", head->shape[0], " classes");
  plan.metadata["classes"] = str(head->shape[0]);
  add_modules(plan, Scope(checkpoint, network_prefix(prefixes[0])), request);
  return plan;
}

constexpr const char* shape_nets[] = {"netD", "netA", "netV", "netL", "netEnc"};

std::vector<std::string> shape_net_prefixes(const Checkpoint& checkpoint) {
  std::vector<std::string> found;
  for (const char* suffix : {"netD.network.0.weight", "netA.network.0.weight"})
    if (found.empty()) found = prefixes_of(checkpoint, suffix);
  return found;
}

}  // namespace

bool is_bisenet(const Checkpoint& checkpoint) { return find_end(checkpoint, bisenet_head, 4) && find_end(checkpoint, bisenet_body, 4); }
bool is_pspnet(const Checkpoint& checkpoint) { return find_end(checkpoint, pspnet_head, 4) && find_end(checkpoint, pspnet_body, 4); }

ConversionPlan plan_bisenet(const Checkpoint& checkpoint, const Request& request) {
  return plan_parser(checkpoint, request, "bisenet", "BiSeNet", bisenet_head, bisenet_body);
}

ConversionPlan plan_pspnet(const Checkpoint& checkpoint, const Request& request) {
  return plan_parser(checkpoint, request, "pspnet", "PSPNet", pspnet_head, pspnet_body);
}

bool is_gan2shape_nets(const Checkpoint& checkpoint) { return !shape_net_prefixes(checkpoint).empty(); }

ConversionPlan plan_gan2shape_nets(const Checkpoint& checkpoint, const Request& request) {
  const std::vector<std::string> prefixes = shape_net_prefixes(checkpoint);
  if (prefixes.empty()) fail(Errc::format, checkpoint.path, "has no networks of GAN2Shape: netD.network.0.weight is missing");
  const Scope scope(checkpoint, prefixes[0]);
  ConversionPlan plan;
  std::string present;
  for (const char* net : shape_nets) {
    const Scope one(checkpoint, str(scope.prefix(), net, "."));
    const std::size_t before = plan.tensors.size();
    for (const std::string& name : one.names())
      if (!is_counter(name)) add_as_it_is(plan, str(net, ".", unwrapped(name)), *one.find(name), request);
    if (plan.tensors.size() > before) present += str(present.empty() ? "" : " ", net);
    else plan.notes.push_back(str("there is no ", net));
  }
  // A network for images of S pixels begins with 4096/S channels.
  const Dims& shape = plan.tensors.front().shape;
  const std::int64_t size = shape.size() == 4 && shape[0] > 0 ? 4096 / shape[0] : 0;
  plan.kind = "gan2shape-nets";
  plan.description = str("GAN2Shape networks ", present, size > 0 ? str(", ", size, "x", size) : "");
  if (size > 0) plan.metadata["size"] = str(size);
  plan.metadata["networks"] = present;
  const std::size_t left = checkpoint.tensors.size() - plan.tensors.size();
  if (left > 0) plan.notes.push_back(str(left, " other tensors, such as optimisers', are left out"));
  return plan;
}

}  // namespace g2s::convert
