// What the lanes of kernels read and write, counted by the emulator: how many sectors of device memory and how many passes over the banks of
// shared memory each warp's request costs, and which instruction reads what nobody has written.
//
// Only in programs built for it (G2S_COUNT_MEMORY): there g++ makes each load and store of a kernel call a function first, as for
// ThreadSanitizer, and those functions are ours (memory_calls.cc). Where a kernel moves a vector, C++ may see several accesses or one:
// engine/cuda/pack.cuh and ptx.cuh therefore say themselves what the device does.
//
// The n-th time that each lane of a warp comes to an instruction, since all of them last met in a barrier or an operation of the whole warp,
// makes one request. A device may put lanes together otherwise where loops have gone apart.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/simt/hooks.h"

namespace g2s::simt {

enum class Memory : std::uint8_t { device, shared };

struct MemoryCounts {
  std::int64_t requests = 0;
  std::int64_t bytes = 0;      // of all lanes
  std::int64_t units = 0;      // sectors of 32 bytes, or passes over the banks
  std::int64_t ideal = 0;      // the least units for what the requests ask: sectors that their different bytes fill, passes without conflicts
  std::int64_t unwritten = 0;  // reads, by lanes, of bytes that nobody has written
  std::int64_t most = 0;       // of a lane, between two operations that its whole warp meets in

  MemoryCounts& operator+=(const MemoryCounts& other) {
    requests += other.requests, bytes += other.bytes, units += other.units, ideal += other.ideal, unwritten += other.unwritten;
    if (most < other.most) most = other.most;
    return *this;
  }
};

// One instruction of one kernel.
struct MemorySite {
  const char* launch = nullptr;  // the name of the launch
  const void* kernel = nullptr;
  const void* place = nullptr;  // in the code, just after the access
  Memory memory = Memory::device;
  Access access = Access::read;
  unsigned width = 0;  // bytes of one lane
  MemoryCounts counts;
};

// Since the last call of forget_memory_counts(). While no kernel runs. With G2S_SIMT_MEMORY=FILE a process writes them there at its end.
std::vector<MemorySite> memory_sites();
void forget_memory_counts();

}  // namespace g2s::simt
