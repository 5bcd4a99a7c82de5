// One iteration of each step from hashed weights, to be compared with a golden trace of another implementation.
#pragma once

#include <string>

#include "engine/export.h"
#include "engine/safetensors.h"

namespace g2s G2S_EXPORTED {

struct TraceOptions {
  std::string lpips;  // the LPIPS weights file; traces of kind "ellipsoid" need none
  // Golden runs are in double. In f32, as a fit computes, the sign of one unit near 0 may move single gradients beyond their tolerance.
  DType dtype = DType::f64;
  Device device;
};

// Reads the description (kind "steps" or "ellipsoid") and its images and computes every output by name: f32, images as NCHW,
// convolution weights in the checkpoint's layout. Every constant comes from the description. Throws naming file and field.
NamedTensors run_trace(const std::string& json_path, const TraceOptions& options);

}  // namespace g2s
