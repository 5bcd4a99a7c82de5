// The plan of kind tensors: everything, as it is.
#pragma once

#include "weights_converter/plan.h"

namespace g2s::convert {

// All tensors under their paths, or those of one network (its name goes away from theirs). A dtype converts the floating-point ones.
ConversionPlan plan_tensors(const std::vector<std::shared_ptr<const Checkpoint>>& inputs, const Request& request);

}  // namespace g2s::convert
