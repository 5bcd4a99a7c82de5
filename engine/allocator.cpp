#include "engine/allocator.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <vector>

#include "engine/accelerator.h"
#include "engine/allocator_base.h"
#include "engine/range_allocator.h"

namespace g2s {
namespace {

std::size_t page_size() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

constexpr std::size_t alignment = 64;
constexpr std::size_t mib = std::size_t{1} << 20;
// From this size on, blocks are ranges of regions; below, each is a block of the system, kept for the next of its class of sizes.
constexpr std::size_t large = mib / 16;
// Pages of 2 MiB: a convolution walks through dozens of places of a large block at once, more than a processor keeps small pages in mind.
constexpr std::size_t huge_page = 2 * mib;

// Eight size classes per power of two: at most an eighth of a block is wasted, and shapes that differ a little share blocks.
std::size_t size_class(std::size_t bytes) {
  if (bytes <= 512) return round_up(bytes, alignment);
  return round_up(bytes, std::bit_floor(bytes - 1) / 8);
}

// Addresses that large blocks are cut from. The system puts memory behind a page when it is first written to.
struct Region {
  char* base;
  RangeAllocator ranges;

  void drop(std::size_t offset, std::size_t size) {
    const std::size_t begin = round_up(offset, page_size()), end = (offset + size) / page_size() * page_size();
    if (begin < end) madvise(base + begin, end - begin, MADV_DONTNEED);
  }
};

class CpuAllocator final : public AllocatorBase {
 protected:
  // Of ranges a multiple of 4 KiB.
  std::size_t block_size(std::size_t bytes) const override {
    if (bytes < large) return size_class(bytes);
    return bytes > std::numeric_limits<std::size_t>::max() / 2 ? bytes : round_up(bytes, 4096);
  }

  void* take(std::size_t size) override { return size < large ? take_small(size) : take_range(size + red_zone()); }

  void give(void* block, std::size_t size) noexcept override {
    if (size < large) {
      idle_[size].push_back(block);
      return;
    }
    char* at = static_cast<char*>(block);
    for (Region& region : regions_)
      if (at >= region.base && at < region.base + region.ranges.capacity())
        region.ranges.give(static_cast<std::size_t>(at - region.base), size + red_zone());
  }

  std::size_t held() const override {
    std::size_t bytes = small_;
    for (const Region& region : regions_) bytes += region.ranges.held();
    return bytes;
  }

  void give_back(std::size_t target) override {
    for (auto it = idle_.rbegin(); it != idle_.rend() && held() > target; ++it) {
      small_ -= it->first * it->second.size();
      for (void* block : it->second) std::free(block);
      it->second.clear();
    }
    for (Region& region : regions_) {
      const std::size_t total = held(), of_region = region.ranges.held();
      if (total <= target) return;
      region.ranges.forget(of_region - std::min(of_region, total - target),
                           [&](std::size_t offset, std::size_t size) { region.drop(offset, size); });
    }
  }

  void fill_with_nan(void* block, std::size_t bytes) override { std::memset(block, 0xff, bytes); }

 private:
  void* take_small(std::size_t size) {
    std::vector<void*>& idle = idle_[size];
    if (idle.empty()) {
      void* block = std::aligned_alloc(alignment, size);
      if (block) small_ += size;
      return block;
    }
    void* block = idle.back();
    idle.pop_back();
    return block;
  }

  void* take_range(std::size_t size) {
    for (Region& region : regions_)
      if (const std::size_t offset = region.ranges.take(size); offset != RangeAllocator::none) return region.base + offset;
    if (!add_region(size)) return nullptr;
    return regions_.back().base + regions_.back().ranges.take(size);
  }

  // Addresses cost nothing until they are written to, so the first region has as many as the machine has memory, if the system grants it:
  // then there is never a second one.
  bool add_region(std::size_t least) {
    const std::size_t memory = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * page_size();
    if (least > std::max(memory, huge_page)) return false;
    least = round_up(least, huge_page);
    for (std::size_t capacity = std::max(round_up(memory, huge_page), least);; capacity = std::max(round_up(capacity / 2, huge_page), least)) {
      void* mapped = mmap(nullptr, capacity + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (mapped != MAP_FAILED) {
        const std::size_t start = reinterpret_cast<std::uintptr_t>(mapped);
        char* base = static_cast<char*>(mapped) + (round_up(start, huge_page) - start);
#if defined(MADV_HUGEPAGE)
        madvise(base, capacity, MADV_HUGEPAGE);  // which the system may refuse
#endif
        asan_poison(base, capacity);
        regions_.push_back({base, RangeAllocator(capacity)});
        return true;
      }
      if (capacity == least) return false;
    }
  }

  std::map<std::size_t, std::vector<void*>> idle_;  // small blocks, by their size
  std::vector<Region> regions_;
  std::size_t small_ = 0;
};

}  // namespace

Allocator& allocator(Device device) {
  if (device.type != DeviceType::cpu) return accelerator(device, "allocator").allocator(device.index);
  // Never destroyed: tensors with static storage may be released after it would be.
  static CpuAllocator* cpu = new CpuAllocator;
  return *cpu;
}

}  // namespace g2s
