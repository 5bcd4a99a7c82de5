// The caching allocator: freed blocks are kept and handed out again, because page faults of large allocations cost more than the arithmetic.
#pragma once

#include <cstddef>

#include "engine/export.h"
#include "engine/types.h"

namespace g2s G2S_EXPORTED {

struct MemoryStats {
  std::size_t in_use = 0;    // bytes handed out now, rounded up to classes of sizes
  std::size_t peak = 0;      // the most ever handed out at once since reset_peak()
  std::size_t reserved = 0;  // bytes held from the system, cached blocks included
  std::size_t total_allocated = 0;  // all bytes ever handed out, a block as often as it was
};

class Allocator {
 public:
  virtual ~Allocator() = default;
  // 64-byte aligned; throws Error(out_of_memory). Zero bytes give a null pointer. Contents are undefined:
  // with G2S_POISON=1 in the environment every block is filled with NaN, so that a kernel that forgets an element is found.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* block, std::size_t bytes) noexcept = 0;
  virtual MemoryStats stats() const = 0;
  virtual void reset_peak() = 0;
  virtual void trim() = 0;  // give cached blocks back to the system
};

Allocator& allocator(Device device);

}  // namespace g2s
