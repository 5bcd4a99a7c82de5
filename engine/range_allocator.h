// Which parts of a span of memory are in use. Bookkeeping alone: it never touches the memory, so any backend's memory may be behind it.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <utility>

namespace g2s {

// Best fit with merging neighbours: a request takes the smallest idle range that holds it, of equal ones the first, and what it leaves stays idle;
// a returned range merges with idle neighbours. Where nothing fits, the used part of the span grows at its end.
class RangeAllocator {
 public:
  static constexpr std::size_t none = ~std::size_t{0};

  explicit RangeAllocator(std::size_t capacity) : capacity_(capacity) {}

  std::size_t take(std::size_t size);  // its offset, or `none`
  void give(std::size_t offset, std::size_t size);

  std::size_t capacity() const { return capacity_; }
  // Bytes that the system may have put memory behind, an upper bound: all in use, and idle ones that were in use and not forgotten since.
  std::size_t held() const { return held_; }
  // Takes memory away from idle ranges, the largest first, through `drop(offset, size)`, until held() is no more than `target` or none is left.
  void forget(std::size_t target, const std::function<void(std::size_t offset, std::size_t size)>& drop);

 private:
  struct Idle {
    std::size_t size, held;
  };
  using Place = std::map<std::size_t, Idle>::iterator;

  void add(std::size_t offset, Idle idle);
  Idle remove(Place place);

  std::size_t capacity_, end_ = 0, held_ = 0;  // nothing from end_ on was ever used
  std::map<std::size_t, Idle> by_offset_;
  std::set<std::pair<std::size_t, std::size_t>> by_size_;  // size, offset
};

}  // namespace g2s
