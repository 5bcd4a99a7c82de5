#include "kernels/matmul/product_unit.h"

#include "kernels/choice.h"

namespace g2s::kernels {

ProductUnit product_unit(ProductUnit usual) {
  return choice_overridden<ProductUnit>("G2S_CUDA_UNIT", {{"fma", ProductUnit::fma},
                                                          {"bf16", ProductUnit::bf16},
                                                          {"tf32", ProductUnit::tf32},
                                                          {"tf32x3", ProductUnit::tf32x3}})
      .value_or(usual);
}

const char* to_string(ProductUnit unit) {
  constexpr const char* names[] = {"fma", "bf16", "tf32", "tf32x3"};
  return names[static_cast<std::size_t>(unit)];
}

}  // namespace g2s::kernels
