// Work on several threads, those of the context. Results never depend on the number of threads: the caller cuts the work into pieces whose boundaries depend on the
// sizes alone, and every output element (or partial sum) belongs to exactly one piece.
#pragma once

#include <cstdint>
#include <type_traits>

#include "engine/export.h"

namespace g2s G2S_EXPORTED {

int num_threads();  // of this thread's settings (engine/context.h)

namespace detail {
void parallel_run(std::int64_t pieces, void (*body)(void*, std::int64_t), void* context);
}

// Calls body(i) for every i in [0, pieces), in any order and on any thread. The first exception is rethrown here.
// Nested calls run on the calling thread.
template <class Body>
inline void parallel_for(std::int64_t pieces, Body&& body) {
  using Plain = std::remove_reference_t<Body>;
  detail::parallel_run(
      pieces, [](void* context, std::int64_t i) { (*static_cast<Plain*>(context))(i); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

// Calls body(begin, end) for consecutive ranges of `block` elements of [0, count): for loops over elements.
template <class Body>
inline void parallel_blocks(std::int64_t count, std::int64_t block, Body&& body) {
  parallel_for((count + block - 1) / block, [&](std::int64_t i) {
    std::int64_t begin = i * block, end = begin + block;
    body(begin, end < count ? end : count);
  });
}

}  // namespace g2s
