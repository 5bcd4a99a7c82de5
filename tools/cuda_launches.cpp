// Launches written down instead of run: with G2S_SIMT_RECORD=FILE kernels do nothing, and the file gets a line for each launch,
//   launch NAME ADDRESS BLOCKS(x y z) THREADS SHARED BYTES BUFFERS PRODUCTS STEPS
// and a line `wait` wherever the host waits. So launches of sizes that nobody would emulate can be counted (tools/cuda_launches.py).
// ADDRESS: of the kernel within the program. BYTES, BUFFERS: what the arguments point to, each block of memory once, from the pointer to its
// end. PRODUCTS: multiply-adds that operators counted since the launch before. STEPS: of a product of tiles, steps along k of one column of
// blocks.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>

#include "engine/error.h"
#include "engine/multiply_adds.h"
#include "engine/simt/hooks.h"

extern "C" char __executable_start;  // of the linker: where the program begins

namespace g2s::simt {
namespace {

class Record {
 public:
  explicit Record(const char* path) : out_(path) {
    if (!out_) fail(Errc::io, path, "cannot be written (G2S_SIMT_RECORD)");
  }

  void see(const char* block, std::size_t bytes) {
    std::lock_guard lock(mutex_);
    if (bytes == 0) blocks_.erase(block);
    else blocks_[block] = bytes;
  }

  void add(const KernelLaunch& l, const void* arguments, std::size_t argument_bytes, std::int64_t steps) {
    std::lock_guard lock(mutex_);
    std::map<const char*, std::size_t> touched;  // where a block begins, bytes
    for (std::size_t at = 0; at + sizeof(char*) <= argument_bytes; at += sizeof(char*)) {
      const char* p = nullptr;
      std::memcpy(&p, static_cast<const char*>(arguments) + at, sizeof p);
      auto block = blocks_.upper_bound(p);
      if (block == blocks_.begin()) continue;
      --block;
      if (p >= block->first + block->second) continue;
      std::size_t& bytes = touched[block->first];
      bytes = std::max(bytes, static_cast<std::size_t>(block->first + block->second - p));
    }
    std::size_t bytes = 0;
    for (const auto& [block, size] : touched) bytes += size;
    const std::int64_t products = multiply_adds_counted();
    out_ << "launch " << l.name << ' ' << std::hex << static_cast<const char*>(l.kernel) - &__executable_start << std::dec << ' ' << l.blocks.x << ' '
         << l.blocks.y << ' ' << l.blocks.z << ' ' << l.threads.count() << ' ' << l.shared_bytes << ' ' << bytes << ' ' << touched.size() << ' '
         << products - products_ << ' ' << steps << '\n';
    products_ = products;
  }

  void wait() {
    std::lock_guard lock(mutex_);
    out_ << "wait" << std::endl;
  }

 private:
  std::mutex mutex_;
  std::ofstream out_;
  std::map<const char*, std::size_t> blocks_;  // memory in use
  std::int64_t products_ = 0;
};

Record* the_record() {
  static Record* r = [] {
    const char* path = std::getenv("G2S_SIMT_RECORD");
    return path && *path ? new Record(path) : nullptr;
  }();
  return r;
}

}  // namespace

bool record(const KernelLaunch& launch, const void* arguments, std::size_t argument_bytes, std::int64_t steps) {
  if (the_record()) the_record()->add(launch, arguments, argument_bytes, steps);
  return the_record() != nullptr;
}
void record_block(const void* block, std::size_t bytes) {
  if (the_record()) the_record()->see(static_cast<const char*>(block), bytes);
}
void record_wait() {
  if (the_record()) the_record()->wait();
}

}  // namespace g2s::simt
