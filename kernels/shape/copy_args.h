#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

// Copies an array of `rank` dimensions between two layouts.
struct CopyArgs {
  std::int64_t element;  // bytes of an element: 1, 2, 4 or 8
  const void* from;      // the first element
  void* to;
  // Innermost first in the order of `to`, merged where both sides allow it. Strides are in elements and may be negative (flip).
  std::int32_t rank;
  std::int64_t size[6];
  std::int64_t from_stride[6];
  std::int64_t to_stride[6];
};

// Writes one value into rows of `length` elements, `pitch` elements apart.
struct FillArgs {
  std::int64_t element;  // bytes of an element: 1, 2, 4 or 8
  void* to;
  std::int64_t rows, length, pitch;
  const void* value;  // one element, in the host's memory
};

G2S_KERNEL(copy, CopyArgs)
G2S_KERNEL(fill, FillArgs)

}  // namespace g2s::kernels
