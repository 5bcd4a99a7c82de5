// Golden traces computed, and how near they must come.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "models/gan2shape/trace.h"
#include "tests/support/check.h"
#include "tests/support/trace_compare.h"

namespace g2s::test {

// What `base`.json asks for, computed and compared with `base`.safetensors.
inline std::vector<TraceItem> trace_items(const std::string& base, DType dtype, Device device = {}) {
  TraceOptions options;
  options.lpips = source_path("assets/lpips_vgg.safetensors");
  options.dtype = dtype;
  options.device = device;
  const auto items = compare_trace(SafetensorsFile(base + ".safetensors"), run_trace(base + ".json", options));
  REQUIRE(items.size() > 100);
  return items;
}

inline void check_trace_items(const std::vector<TraceItem>& items) {
  for (const TraceItem& item : items) {
    INFO(item.name, ": ", item.text);
    CHECK(item.error <= 1);
  }
}

// As a fit computes it. A unit whose input is within rounding of the kink of its ReLU may fall on either side of it, and where an image is
// flat, as the heads' background is, Winograd's convolution rounds equal features differently, so that max pooling hands a gradient to
// another of them (LPIPS's gradient moves by 6 percent of its norm, by 2e-6 once the image has a little noise). That takes single
// gradients beyond their tolerance, and the sign of Adam's first step, but no loss, no other image and not many numbers.
inline void check_f32_trace_items(const std::vector<TraceItem>& items) {
  std::size_t beyond = 0;
  for (const TraceItem& item : items) {
    INFO(item.name, ": ", item.text);
    if (item.error > 1) ++beyond;
    CHECK(item.error <= (may_flip(item) ? 40 : 1));
  }
  CHECK(beyond <= items.size() / 30);
}

}  // namespace g2s::test
