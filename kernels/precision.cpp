#include "kernels/precision.h"

#include "engine/error.h"
#include "engine/precision.h"
#include "kernels/isa.h"

namespace g2s {

void use_precision(const std::string& name) {
  const Precision wanted = precision_from_name(name);
  if (wanted == Precision::bf16 && kernels::bf16_unit() == kernels::Bf16Unit::none)
    fail(Errc::unsupported, "--precision", "this processor has neither AVX512-BF16 nor AMX, which bf16 needs");
  set_precision(wanted);
}

}  // namespace g2s
