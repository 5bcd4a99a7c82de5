#include "bench/peak.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "engine/context.h"
#include "engine/parallel.h"
#include "engine/tensor.h"
#include "kernels/isa.h"

#if defined(G2S_HAVE_X86_ISA)
#include <immintrin.h>
#endif

namespace g2s::bench {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

constexpr int trials = 60;
constexpr std::int64_t rounds = 200000;  // of a trial: some milliseconds

#if defined(G2S_HAVE_X86_ISA)
// Twelve independent chains hide the latency of the multiply-add. Named one by one, since an array would lie in memory; the barrier keeps them in
// registers and out of the optimiser's sight.
constexpr int chains = 12;

#define G2S_CHAINS(step) step(s0) step(s1) step(s2) step(s3) step(s4) step(s5) step(s6) step(s7) step(s8) step(s9) step(s10) step(s11)

__attribute__((target("avx2,fma"))) void multiply_add_v3() {
  const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(1e-3f);
#define G2S_BEGIN(s) __m256 s = _mm256_set1_ps(1);
#define G2S_STEP(s) s = _mm256_fmadd_ps(s, a, b);
#define G2S_KEEP(s) asm volatile("" : "+x"(s));
  G2S_CHAINS(G2S_BEGIN)
  for (std::int64_t i = 0; i < rounds; ++i) {
    G2S_CHAINS(G2S_STEP)
    G2S_CHAINS(G2S_KEEP)
  }
#undef G2S_BEGIN
#undef G2S_STEP
#undef G2S_KEEP
}

__attribute__((target("avx512f"))) void multiply_add_v4() {
  const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(1e-3f);
#define G2S_BEGIN(s) __m512 s = _mm512_set1_ps(1);
#define G2S_STEP(s) s = _mm512_fmadd_ps(s, a, b);
#define G2S_KEEP(s) asm volatile("" : "+v"(s));
  G2S_CHAINS(G2S_BEGIN)
  for (std::int64_t i = 0; i < rounds; ++i) {
    G2S_CHAINS(G2S_STEP)
    G2S_CHAINS(G2S_KEEP)
  }
#undef G2S_BEGIN
#undef G2S_STEP
#undef G2S_KEEP
}
#undef G2S_CHAINS

double peak_gflops(void (*loop)(), std::int64_t lanes, int threads) {
  double best = 1e30;
  for (int i = 0; i < trials; ++i) {
    const auto start = Clock::now();
    parallel_for(threads, [&](std::int64_t) { loop(); });
    best = std::min(best, since(start));
  }
  return 2e-9 * static_cast<double>(rounds * chains * lanes * threads) / best;
}
#endif

// a = b + s c on arrays far larger than any cache; counted as three arrays, as the STREAM benchmark does.
double triad_gbytes() {
  constexpr std::int64_t count = 1 << 26;
  Tensor a = Tensor::full({count}, 0), b = Tensor::full({count}, 1), c = Tensor::full({count}, 2);
  float* to = a.mutable_data<float>();
  const float *x = b.data<float>(), *y = c.data<float>();
  double best = 1e30;
  for (int i = 0; i < 12; ++i) {
    const auto start = Clock::now();
    parallel_blocks(count, 1 << 16, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t k = begin; k < end; ++k) to[k] = x[k] + 0.5f * y[k];
    });
    best = std::min(best, since(start));
  }
  return 3e-9 * static_cast<double>(a.bytes()) / best;
}

}  // namespace

nlohmann::json measure_peak(int threads) {
  const WithThreads with(threads);
  nlohmann::json out = {{"threads", num_threads()}};
#if defined(G2S_HAVE_X86_ISA)
  auto measure = [&](const char* name, void (*loop)(), std::int64_t lanes, kernels::Isa needed) {
    nlohmann::json rates = "not run: this machine has no such instructions";
    if (kernels::isa() >= needed) rates = {{"one_thread_gflops", peak_gflops(loop, lanes, 1)}, {"gflops", peak_gflops(loop, lanes, num_threads())}};
    out["f32"][name] = rates;
  };
  measure("v3", multiply_add_v3, 8, kernels::Isa::v3);
  measure("v4", multiply_add_v4, 16, kernels::Isa::v4);
#endif
  out["triad_gbytes_s"] = triad_gbytes();
  return out;
}

}  // namespace g2s::bench
