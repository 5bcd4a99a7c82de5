#include "kernels/matmul/math_mode.h"

#include "kernels/choice.h"

namespace g2s::kernels {

MathMode math_mode(MathMode usual) {
  return choice_overridden<MathMode>("G2S_CUDA_MATH", {{"fma", MathMode::fma},
                                                          {"bf16", MathMode::bf16},
                                                          {"tf32", MathMode::tf32}})
      .value_or(usual);
}

const char* to_string(MathMode mode) {
  constexpr const char* names[] = {"fma", "bf16", "tf32"};
  return names[static_cast<std::size_t>(mode)];
}

}  // namespace g2s::kernels
