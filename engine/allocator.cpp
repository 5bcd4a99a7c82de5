#include "engine/allocator.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "engine/error.h"

namespace g2s {
namespace {

constexpr std::size_t alignment = 64;

// Pages of 2 MiB: a convolution walks through dozens of places of a large block at once, more than a processor keeps small pages in mind.
constexpr std::size_t huge_page = std::size_t{2} << 20;

// A block from the system, or null. Large ones ask for huge pages, which the system may refuse.
void* system_block(std::size_t size) {
  if (size < huge_page) return std::aligned_alloc(alignment, size);
  void* block = std::aligned_alloc(huge_page, (size + huge_page - 1) / huge_page * huge_page);
#if defined(__linux__)
  if (block) madvise(block, size / huge_page * huge_page, MADV_HUGEPAGE);
#endif
  return block;
}

// Eight size classes per power of two: at most an eighth of a block is wasted, and shapes that differ a little share blocks.
std::size_t size_class(std::size_t bytes) {
  if (bytes <= 512) return (bytes + alignment - 1) / alignment * alignment;
  std::size_t step = std::bit_floor(bytes - 1) / 8;
  return (bytes + step - 1) / step * step;
}

// A large block may also serve a request for less, down to this part of it: otherwise blocks of sizes that are not used now lie idle beside
// new ones, and cost memory.
constexpr std::size_t large = std::size_t{1} << 20;
constexpr double least_use = 0.6;
// Idle blocks above this part of what is in use are given back before a new one is taken from the system.
constexpr double most_idle = 1.0 / 16;

class CpuAllocator final : public Allocator {
 public:
  CpuAllocator() : poison_(std::getenv("G2S_POISON") != nullptr) {}
  ~CpuAllocator() override { trim(); }

  void* allocate(std::size_t bytes) override {
    if (bytes == 0) return nullptr;
    std::size_t size = size_class(bytes);
    void* block = take(size);
    if (!block) {
      make_room(size);
      block = system_block(size);
      if (!block) {
        trim();
        block = system_block(size);
      }
      std::lock_guard lock(mutex_);
      if (!block) {
        stats_.in_use -= size;
        fail(Errc::out_of_memory, "allocate", bytes, " bytes, with ", stats_.in_use, " in use");
      }
      stats_.reserved += size;
    }
    if (poison_) std::memset(block, 0xff, size);
    return block;
  }

  void release(void* block, std::size_t bytes) noexcept override {
    if (!block) return;
    std::lock_guard lock(mutex_);
    std::size_t size = size_class(bytes);
    stats_.in_use -= size;
    if (auto larger = larger_.find(block); larger != larger_.end()) {
      size = larger->second;
      larger_.erase(larger);
    }
    free_[size].push_back(block);
  }

  MemoryStats stats() const override {
    std::lock_guard lock(mutex_);
    return stats_;
  }

  void reset_peak() override {
    std::lock_guard lock(mutex_);
    stats_.peak = stats_.in_use;
  }

  void set_limit(std::size_t bytes) override {
    std::lock_guard lock(mutex_);
    limit_ = bytes;
  }

  void trim() override {
    std::lock_guard lock(mutex_);
    for (auto& [size, blocks] : free_) {
      stats_.reserved -= size * blocks.size();
      for (void* block : blocks) std::free(block);
    }
    free_.clear();
  }

 private:
  // Gives idle blocks back before one of `size` is taken from the system. `size` is counted as in use already.
  void make_room(std::size_t size) {
    std::lock_guard lock(mutex_);
    if (size < large && limit_ == 0) return;
    std::size_t allowed = static_cast<std::size_t>((1 + most_idle) * static_cast<double>(stats_.in_use));
    if (limit_ > 0) allowed = std::min(allowed, limit_);
    // The next smaller ones first: they do not help, and what is much larger may be wanted again as it is.
    for (auto it = free_.upper_bound(size); it != free_.begin() && stats_.reserved + size > allowed;) give_back(*--it, size, allowed);
    for (auto it = free_.upper_bound(size); it != free_.end() && stats_.reserved + size > allowed; ++it) give_back(*it, size, allowed);
  }

  void give_back(std::pair<const std::size_t, std::vector<void*>>& idle, std::size_t size, std::size_t allowed) {
    while (!idle.second.empty() && stats_.reserved + size > allowed) {
      std::free(idle.second.back());
      idle.second.pop_back();
      stats_.reserved -= idle.first;
    }
  }

  // Counts `size` as in use and gives a cached block, if there is one.
  void* take(std::size_t size) {
    std::lock_guard lock(mutex_);
    stats_.handed_out += size;
    stats_.in_use += size;
    if (stats_.in_use > stats_.peak) stats_.peak = stats_.in_use;
    auto it = free_.lower_bound(size);
    while (it != free_.end() && it->second.empty()) it = free_.erase(it);
    if (it == free_.end()) return nullptr;
    const bool shared = size >= large && static_cast<double>(size) >= least_use * static_cast<double>(it->first);
    if (it->first != size && !shared) return nullptr;
    void* block = it->second.back();
    it->second.pop_back();
    if (it->first != size) larger_[block] = it->first;
    return block;
  }

  mutable std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> free_;
  std::unordered_map<void*, std::size_t> larger_;  // blocks in use for less than their size
  MemoryStats stats_;
  std::size_t limit_ = 0;
  bool poison_;
};

}  // namespace

Allocator& allocator(Device device) {
  if (device.type != DeviceType::cpu) fail(Errc::unsupported, "allocator", "this build has no ", device, " backend");
  // Never destroyed: tensors with static storage may be released after it would be.
  static CpuAllocator* cpu = new CpuAllocator;
  return *cpu;
}

}  // namespace g2s
