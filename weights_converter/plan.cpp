#include "weights_converter/plan.h"

#include "engine/error.h"
#include "weights_converter/plan_tensors.h"

namespace g2s::convert {

OutputTensor output(const std::string& name, const SourceTensor& source) {
  OutputTensor out;
  out.name = name;
  out.type = source.type;
  out.shape = source.shape;
  out.parts = {source};
  return out;
}

Plan make_plan(const std::vector<std::shared_ptr<const Checkpoint>>& inputs, const Request& request) {
  if (request.kind == "tensors") return plan_tensors(inputs, request);
  fail(Errc::invalid_argument, "--kind", "'", request.kind, "' is not known");
}

}  // namespace g2s::convert
