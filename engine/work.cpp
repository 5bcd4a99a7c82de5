#include "engine/work.h"

#include "engine/context.h"

namespace g2s {

void count_products(std::int64_t multiply_adds) { Context::current().counts().multiply_adds.fetch_add(multiply_adds, std::memory_order_relaxed); }

std::int64_t products_counted() { return Context::current().counts().multiply_adds.load(std::memory_order_relaxed); }

}  // namespace g2s
