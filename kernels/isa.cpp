#include "kernels/isa.h"

#include <cstdlib>
#include <cstring>

#include "engine/error.h"

namespace g2s::kernels {
namespace {

Isa detect() {
#if defined(G2S_HAVE_X86_ISA)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma"))
    return Isa::v4;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) return Isa::v3;
#endif
  return Isa::base;
}

Isa choose() {
  Isa best = detect();
  const char* wanted = std::getenv("G2S_ISA");
  if (!wanted || !*wanted) return best;
  for (Isa candidate : {Isa::base, Isa::v3, Isa::v4}) {
    if (std::strcmp(wanted, to_string(candidate)) != 0) continue;
    if (candidate > best) fail(Errc::unsupported, "G2S_ISA", "this machine does not run ", wanted, ", the best is ", to_string(best));
    return candidate;
  }
  fail(Errc::invalid_argument, "G2S_ISA", "must be base, v3 or v4, not ", wanted);
}

}  // namespace

Isa isa() {
  static const Isa chosen = choose();
  return chosen;
}

const char* to_string(Isa isa) {
  switch (isa) {
    case Isa::base: return "base";
    case Isa::v3: return "v3";
    case Isa::v4: return "v4";
  }
  return "?";
}

}  // namespace g2s::kernels
