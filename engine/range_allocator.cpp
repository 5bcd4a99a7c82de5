#include "engine/range_allocator.h"

#include <algorithm>

namespace g2s {

void RangeAllocator::add(std::size_t offset, Idle idle) {
  if (idle.size == 0) return;
  by_offset_.emplace(offset, idle);
  by_size_.emplace(idle.size, offset);
}

RangeAllocator::Idle RangeAllocator::remove(Place place) {
  Idle idle = place->second;
  by_size_.erase({idle.size, place->first});
  by_offset_.erase(place);
  return idle;
}

std::size_t RangeAllocator::take(std::size_t size) {
  std::size_t offset;
  Idle from{0, 0};
  if (auto fit = by_size_.lower_bound({size, 0}); fit != by_size_.end()) {
    offset = fit->second;
    from = remove(by_offset_.find(offset));
  } else {
    const bool idle_end = !by_offset_.empty() && by_offset_.rbegin()->first + by_offset_.rbegin()->second.size == end_;
    offset = idle_end ? by_offset_.rbegin()->first : end_;
    if (offset > capacity_ || size > capacity_ - offset) return none;
    if (idle_end) from = remove(std::prev(by_offset_.end()));
    end_ = offset + size;
    from.size = size;
  }
  // Where in the range its memory lies is not known: the rest keeps as much as it can have.
  const Idle rest{from.size - size, std::min(from.held, from.size - size)};
  held_ += size + rest.held - from.held;
  add(offset + size, rest);
  return offset;
}

void RangeAllocator::give(std::size_t offset, std::size_t size) {
  Idle merged{size, size};
  auto next = by_offset_.lower_bound(offset);
  if (next != by_offset_.begin()) {
    auto before = std::prev(next);
    if (before->first + before->second.size == offset) {
      offset = before->first;
      const Idle idle = remove(before);
      merged = {merged.size + idle.size, merged.held + idle.held};
      next = by_offset_.lower_bound(offset);
    }
  }
  if (next != by_offset_.end() && offset + merged.size == next->first) {
    const Idle idle = remove(next);
    merged = {merged.size + idle.size, merged.held + idle.held};
  }
  add(offset, merged);
}

void RangeAllocator::forget(std::size_t target, const std::function<void(std::size_t offset, std::size_t size)>& drop) {
  for (auto it = by_size_.rbegin(); it != by_size_.rend() && held_ > target; ++it) {
    Idle& idle = by_offset_.at(it->second);
    if (idle.held == 0) continue;
    drop(it->second, idle.size);
    held_ -= idle.held;
    idle.held = 0;
  }
}

}  // namespace g2s
