#include "engine/multiply_adds.h"

#include "engine/context.h"

namespace g2s {

void count_multiply_adds(std::int64_t multiply_adds) {
  Context::current().counts().multiply_adds.fetch_add(multiply_adds, std::memory_order_relaxed);
}

std::int64_t multiply_adds_counted() { return Context::current().counts().multiply_adds.load(std::memory_order_relaxed); }

}  // namespace g2s
