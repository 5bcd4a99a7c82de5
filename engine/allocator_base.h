// What the allocators of all devices share: counting, poison, and what AddressSanitizer is told. A device says where its memory comes from.
#pragma once

#include <mutex>
#include <string>

#include "engine/allocator.h"

namespace g2s {

constexpr std::size_t round_up(std::size_t bytes, std::size_t step) { return (bytes + step - 1) / step * step; }

class AllocatorBase : public Allocator {
 public:
  AllocatorBase();
  void* allocate(std::size_t bytes) final;
  void release(void* block, std::size_t bytes) noexcept final;
  MemoryStats stats() const final;
  void reset_peak() final;
  void trim() final;

 protected:
  // Called one at a time, and never for zero bytes.
  virtual std::size_t block_size(std::size_t bytes) const = 0;  // what a block counts for; overflow must not wrap
  virtual void* take(std::size_t size) = 0;                     // null if there is no more memory
  virtual void give(void* block, std::size_t size) noexcept = 0;
  // Before a block is given, with the lock held. retained: it stays in use, and will be released again. wait: wait_for_use() is called without
  // the lock first.
  enum class Release { give, retained, wait };
  virtual Release before_release(void*, std::size_t) noexcept { return Release::give; }
  virtual void wait_for_use() noexcept {}
  virtual std::size_t held() const = 0;                 // from the system, idle blocks included
  virtual std::size_t held_by_context() const { return held(); }  // what counts against the limit of this thread's context
  virtual void give_back(std::size_t target) = 0;       // idle blocks, until no more than `target` is held
  virtual void on_allocate(void*, std::size_t) {}       // told of each block, before anything is written there
  virtual void on_release(void*) noexcept {}            // and when it comes back
  virtual void fill_with_nan(void* block, std::size_t bytes) = 0;
  virtual std::string where() const { return {}; }      // for the message when there is no more

  // Of the context that asks for memory (ContextOptions::memory_limit); 0: none.
  static std::size_t limit();
  std::unique_lock<std::mutex> lock() const { return std::unique_lock(mutex_); }

 private:
  mutable std::mutex mutex_;
  MemoryStats stats_;
  bool poison_;
};

// Under AddressSanitizer some bytes after a block that is cut from a range are nobody's, so that it sees what runs over an end. Elsewhere 0.
std::size_t red_zone();
// Tells it that nobody may touch these bytes, until blocks among them are allocated.
void asan_poison(void* memory, std::size_t bytes);
// Before memory goes back to the system.
void asan_unpoison(void* memory, std::size_t bytes);

}  // namespace g2s
