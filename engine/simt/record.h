// Launches written down instead of run: with G2S_SIMT_RECORD=FILE kernels do nothing, and the file gets a line for each launch,
//   launch NAME ADDRESS BLOCKS(x y z) THREADS SHARED BYTES BUFFERS PRODUCTS STEPS
// and a line `wait` wherever the host waits. So launches of sizes that nobody would emulate can be counted (tools/cuda_model.py).
// ADDRESS: of the kernel within the program. BYTES, BUFFERS: what the arguments point to, each block of memory once, from the pointer to its
// end. PRODUCTS: multiply-adds that operators counted since the launch before. STEPS: of a product of tiles, steps along k of one column of
// blocks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/simt/simt.h"

namespace g2s::simt {

struct RecordedLaunch {
  const char* name;
  const void* kernel;
  Extent blocks, threads;
  std::size_t shared_bytes;
  const void* arguments;
  std::size_t argument_bytes;
  std::int64_t steps;
};

struct ElsewhereLaunch {
  const char* name;
  const void* kernel;
  Extent blocks, threads;
  std::size_t shared_bytes;
  const void* const* arguments;  // where each one's bytes are
  std::size_t count;
};
// Null unless a program offers another way to run kernels (tests/ptx). True if it has run this one.
__attribute__((weak)) bool run_elsewhere(const ElsewhereLaunch& launch);

bool recording();
void record(const RecordedLaunch& launch);
// Of a block of device memory: its bytes when it is handed out, 0 when it comes back.
void record_block(const void* block, std::size_t bytes);
void record_wait();

}  // namespace g2s::simt
