#include "kernels/isa.h"

#include <cstdlib>
#include <cstring>

#if defined(G2S_HAVE_X86_ISA)
#include <cpuid.h>
#endif
#if defined(G2S_HAVE_X86_ISA) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "engine/error.h"
#include "engine/names.h"
#include "kernels/choice.h"

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

#if defined(G2S_HAVE_X86_ISA)
struct Features {
  bool avx512_bf16 = false, amx = false;
};

// Asked of the processor itself: compilers' own tests do not know AMX.
Features features() {
  Features f;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return f;
  f.amx = (d & 1u << 22) && (d & 1u << 24);  // AMX-BF16, AMX-TILE
  if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) f.avx512_bf16 = a & 1u << 5;
  return f;
}

// The tile registers are lent to a process that asks.
bool kernel_grants_tiles() {
#if defined(__linux__)
  constexpr long request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return false;
#endif
}
#endif

Bf16Unit detect_bf16() {
#if defined(G2S_HAVE_X86_ISA)
  if (isa() < Isa::v4) return Bf16Unit::none;
  const Features f = features();
  if (!f.avx512_bf16) return Bf16Unit::none;  // also rounds numbers for the tiles
  return f.amx && kernel_grants_tiles() ? Bf16Unit::tiles : Bf16Unit::vectors;
#else
  return Bf16Unit::none;
#endif
}

Bf16Unit best_bf16() {
  static const Bf16Unit best = detect_bf16();
  return best;
}

}  // namespace

Isa isa() {
  static const Isa chosen = choose();
  return chosen;
}

const char* to_string(Isa isa) { return name_of(isa, {"base", "v3", "v4"}); }

Bf16Unit bf16_unit() {
  const Bf16Unit best = best_bf16();
  const auto wanted = choice_overridden<Bf16Unit>(
      "G2S_BF16", {{"none", Bf16Unit::none}, {"vectors", Bf16Unit::vectors}, {"tiles", Bf16Unit::tiles}});
  if (wanted > best) fail(Errc::unsupported, "G2S_BF16", "this machine has no ", to_string(*wanted), ", the best is ", to_string(best));
  return wanted.value_or(best);
}

const char* to_string(Bf16Unit unit) { return name_of(unit, {"none", "vectors", "tiles"}); }

void no_cuda_kernel(const char* kernel) { fail(Errc::unsupported, kernel, "has no CUDA kernel in this program"); }

}  // namespace g2s::kernels
