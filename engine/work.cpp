#include "engine/work.h"

#include <atomic>

namespace g2s {
namespace {
std::atomic<std::int64_t> products{0};
}

void count_products(std::int64_t multiply_adds) { products.fetch_add(multiply_adds, std::memory_order_relaxed); }

std::int64_t products_counted() { return products.load(std::memory_order_relaxed); }

}  // namespace g2s
