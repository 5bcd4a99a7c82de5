#include "engine/allocator_base.h"

#include <algorithm>
#include <cstdlib>

#include "engine/context.h"
#include "engine/error.h"

#if defined(__SANITIZE_ADDRESS__)
#define G2S_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define G2S_ASAN
#endif
#endif
#if defined(G2S_ASAN)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(block, size) ((void)(block), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(block, size) ((void)(block), (void)(size))
#endif

namespace g2s {

std::size_t red_zone() {
#if defined(G2S_ASAN)
  return 4096;
#else
  return 0;
#endif
}

void asan_poison(void* memory, std::size_t bytes) { ASAN_POISON_MEMORY_REGION(memory, bytes); }
void asan_unpoison(void* memory, std::size_t bytes) { ASAN_UNPOISON_MEMORY_REGION(memory, bytes); }

AllocatorBase::AllocatorBase() : poison_(std::getenv("G2S_POISON") != nullptr) {}

std::size_t AllocatorBase::limit() { return Context::current().options().memory_limit; }

void* AllocatorBase::allocate(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  std::lock_guard lock(mutex_);
  const std::size_t size = block_size(bytes);
  void* block = take(size);
  if (!block) fail(Errc::out_of_memory, "allocate", bytes, " bytes", where(), ", with ", stats_.in_use, " in use");
  stats_.total_allocated += size;
  stats_.in_use += size;
  stats_.peak = std::max(stats_.peak, stats_.in_use);
  if (limit() > 0 && held_by_context() > limit()) give_back(limit());
  asan_unpoison(block, bytes);
  on_allocate(block, bytes);
  if (poison_) fill_with_nan(block, bytes);
  return block;
}

void AllocatorBase::release(void* block, std::size_t bytes) noexcept {
  if (!block) return;
  std::unique_lock lock(mutex_);
  const Release how = before_release(block, bytes);
  if (how == Release::retained) return;
  if (how == Release::wait) {  // nobody else can have the block meanwhile: it is in use still
    lock.unlock();
    wait_for_use();
    lock.lock();
  }
  const std::size_t size = block_size(bytes);
  stats_.in_use -= size;
  asan_poison(block, size);
  on_release(block);
  give(block, size);
}

MemoryStats AllocatorBase::stats() const {
  std::lock_guard lock(mutex_);
  MemoryStats stats = stats_;
  stats.reserved = held();
  return stats;
}

void AllocatorBase::reset_peak() {
  std::lock_guard lock(mutex_);
  stats_.peak = stats_.in_use;
}

void AllocatorBase::trim() {
  std::lock_guard lock(mutex_);
  give_back(0);
}

}  // namespace g2s
