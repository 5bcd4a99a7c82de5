#include "kernels/matmul/product_unit.h"

#include <atomic>
#include <cstdlib>
#include <string>

#include "engine/error.h"

namespace g2s::kernels {
namespace {

constexpr const char* names[] = {"fma", "bf16", "tf32"};  // as ProductUnit
constexpr int none = -1;

int wish() {
  const char* text = std::getenv("G2S_CUDA_UNIT");
  if (!text) return none;
  for (int i = 0; i < 3; ++i)
    if (std::string(text) == names[i]) return i;
  fail(Errc::invalid_argument, "G2S_CUDA_UNIT", "'", text, "' is none of fma, bf16, tf32");
}

std::atomic<int>& forced() {
  static std::atomic<int> unit{wish()};
  return unit;
}

}  // namespace

ProductUnit product_unit(ProductUnit usual) {
  const int unit = forced().load(std::memory_order_relaxed);
  return unit == none ? usual : static_cast<ProductUnit>(unit);
}

WithProductUnit::WithProductUnit(ProductUnit unit) : before_(forced().exchange(static_cast<int>(unit))) {}
WithProductUnit::~WithProductUnit() { forced() = before_; }

}  // namespace g2s::kernels
