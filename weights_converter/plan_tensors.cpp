#include "weights_converter/plan_tensors.h"

#include "engine/error.h"
#include "weights_converter/text.h"

namespace g2s::convert {

ConversionPlan plan_tensors(const std::vector<std::shared_ptr<const Checkpoint>>& inputs, const Request& request) {
  ConversionPlan plan;
  plan.kind = "tensors";
  std::map<std::string, const Checkpoint*> seen;
  std::int64_t numbers = 0;
  const std::string prefix = request.network.empty() ? "" : request.network + ".";
  for (const auto& input : inputs) {
    for (const SourceTensor& t : input->tensors) {
      if (t.name.rfind(prefix, 0) != 0) continue;
      const std::string name = t.name.substr(prefix.size());
      const auto [before, fresh] = seen.emplace(name, input.get());
      if (!fresh) {
        fail(Errc::invalid_argument, input->path, "tensor ", printable(name), " appears twice",
             before->second == input.get() ? std::string() : ": also in " + before->second->path);
      }
      plan.tensors.push_back(output(name, t));
      if (request.dtype && is_real(t.type)) plan.tensors.back().type = *request.dtype;
      numbers += t.numel();
    }
  }
  if (plan.tensors.empty()) {
    const std::string where = inputs.size() == 1 ? inputs[0]->path : "the inputs";
    std::string notes;
    for (const auto& input : inputs)
      for (const std::string& note : input->notes) notes += "; " + note;
    if (prefix.empty()) fail(Errc::format, where, "no tensor in it", notes);
    fail(Errc::invalid_argument, "network", "no tensor of '", printable(request.network), "' in ", where);
  }
  plan.description = str(plan.tensors.size(), plan.tensors.size() == 1 ? " tensor, " : " tensors, ", numbers, " numbers");
  return plan;
}

}  // namespace g2s::convert
