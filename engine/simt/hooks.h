// Where instruments look into the emulator. They belong to tests and tools, which define these functions; the emulator runs without them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/simt/simt.h"

namespace g2s::simt {

struct KernelLaunch {
  const char* name;
  const void* kernel;
  Extent blocks, threads;
  std::size_t shared_bytes;
};

// Null in programs without the instrument.
__attribute__((weak)) void note_sizes(const KernelLaunch& launch);  // tests/simt/sizes.cpp
// Another way to run kernels (tests/ptx). `arguments`: where each one's bytes are. True if it has run this one.
__attribute__((weak)) bool run_elsewhere(const KernelLaunch& launch, const void* const* arguments, std::size_t count);
// Launches written down instead of run (tools/cuda_launches.cpp); false if they are to run. `steps`: of a product of tiles, along k of one
// column of blocks.
__attribute__((weak)) bool record(const KernelLaunch& launch, const void* arguments, std::size_t argument_bytes, std::int64_t steps);
// Of a block of device memory: its bytes when it is handed out, 0 when it comes back.
__attribute__((weak)) void record_block(const void* block, std::size_t bytes);
__attribute__((weak)) void record_wait();

enum class Access : std::uint8_t { read, write, atomic };

#if defined(G2S_COUNT_MEMORY)  // in programs with tests/counted/memory_counts.cc
constexpr bool memory_is_counted = true;

// Told by the emulated runtime.
void add_device_memory(void* block, std::size_t bytes);
void remove_device_memory(void* block);
void mark_written(void* block, std::size_t bytes, bool written = true);  // of device memory; elsewhere nothing happens
void mark_copied(void* to, const void* from, std::size_t bytes);

// Told by the emulator, which runs one block at a time on each host thread.
void count_block(const char* launch, const void* kernel);  // one begins; all its shared memory is unwritten
void complete_requests(unsigned first_lane);               // of this warp: all its lanes have met
void complete_all_requests();

// A lane's access. `place` is a return address.
void count_access(const void* address, std::size_t bytes, Access access, const void* place);
// Its shared memory that asynchronous copies will write, or have written.
void mark_shared(void* address, std::size_t bytes, bool written);

// Moves bytes as one access of the lane that calls.
void read_vector(void* to, const void* from, std::size_t bytes);
void write_vector(void* to, const void* from, std::size_t bytes);
#else
constexpr bool memory_is_counted = false;
inline void add_device_memory(void*, std::size_t) {}
inline void remove_device_memory(void*) {}
inline void mark_written(void*, std::size_t, bool = true) {}
inline void mark_copied(void*, const void*, std::size_t) {}
inline void count_block(const char*, const void*) {}
inline void complete_requests(unsigned) {}
inline void complete_all_requests() {}
inline void count_access(const void*, std::size_t, Access, const void*) {}
inline void mark_shared(void*, std::size_t, bool) {}
#endif

}  // namespace g2s::simt
