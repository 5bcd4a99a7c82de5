#include "kernels/matmul/math_mode.h"

#include "engine/names.h"
#include "kernels/choice.h"

namespace g2s::kernels {

MathMode math_mode(MathMode usual) {
  return choice_overridden<MathMode>("G2S_CUDA_MATH", {{"fma", MathMode::fma},
                                                          {"bf16", MathMode::bf16},
                                                          {"tf32", MathMode::tf32}})
      .value_or(usual);
}

const char* to_string(MathMode mode) { return name_of(mode, {"fma", "bf16", "tf32"}); }

}  // namespace g2s::kernels
