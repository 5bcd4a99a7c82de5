// Collects the outputs of a trace under their names.
#pragma once

#include <string>

#include "engine/export.h"
#include "engine/module.h"
#include "engine/safetensors.h"
#include "models/gan2shape/config.h"
#include "models/gan2shape/steps.h"

namespace g2s G2S_EXPORTED {

class TraceOutput {
 public:
  void image(const std::string& name, const Tensor& nhwc);  // stored as NCHW
  void vector(const std::string& name, const Tensor& value);
  void loss(const std::string& name, const Tensor& scalar);   // stored as [1]
  // L2 norm, dot product with u("dot:NUMBERED"), the first four elements; `value` in the checkpoint's layout.
  void summary(const std::string& name, const std::string& numbered, const Tensor& value);

  void losses(const std::string& step, const Losses& losses);
  const NamedTensors& all() const { return all_; }

 private:
  NamedTensors all_;
};

// u("dot:NAME") for an image, indexed as NCHW but returned as NHWC like `x`.
Tensor dot_image(const std::string& name, const Tensor& x);

// One Adam update of a network's parameters from their gradients, with six numbers of gradient, parameter and update of each.
// `network` names the net and `parameters` it; gradients are in its order.
void trace_update(TraceOutput& out, const std::string& step, const std::string& network, ParameterMap& parameters,
                  const std::vector<Tensor>& gradients, const Config& config);

}  // namespace g2s
