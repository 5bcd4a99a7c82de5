// Compiled without contraction of a * b + c (see cmake/G2sTargets.cmake): the numbers must not depend on the instruction set.
#include <cstring>

#include "engine/parallel.h"
#include "kernels/random/random_args.h"

namespace g2s::kernels::G2S_ISA {
namespace {

constexpr int batch = 64;                  // Philox blocks computed side by side
constexpr std::int64_t piece = 16 * batch;  // blocks in a piece of work

struct Words {
  std::uint32_t w[4][batch];
};

// Ten rounds on every counter.
void philox(Words& c, std::uint32_t k0, std::uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
#pragma omp simd
    for (int i = 0; i < batch; ++i) {
      std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c.w[0][i], p1 = std::uint64_t{0xCD9E8D57u} * c.w[2][i];
      c.w[0][i] = static_cast<std::uint32_t>(p1 >> 32) ^ c.w[1][i] ^ k0;
      c.w[2][i] = static_cast<std::uint32_t>(p0 >> 32) ^ c.w[3][i] ^ k1;
      c.w[1][i] = static_cast<std::uint32_t>(p1);
      c.w[3][i] = static_cast<std::uint32_t>(p0);
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

void words_at(const RandomArgs& args, std::int64_t block, Words& c) {
  std::uint64_t first = args.position + static_cast<std::uint64_t>(block);
  for (int i = 0; i < batch; ++i) {
    std::uint64_t n = first + static_cast<std::uint64_t>(i);
    c.w[0][i] = static_cast<std::uint32_t>(n);
    c.w[1][i] = static_cast<std::uint32_t>(n >> 32);
    c.w[2][i] = c.w[3][i] = 0;
  }
  philox(c, static_cast<std::uint32_t>(args.key), static_cast<std::uint32_t>(args.key >> 32));
}

// Signed conversions are cheap on every instruction set; both are exact.
inline float to_float(std::uint32_t v) { return static_cast<float>(static_cast<std::int32_t>(v)); }

// log(u) for normal u in (0, 1].
inline float log_unit(float u) {
  std::uint32_t bits;
  std::memcpy(&bits, &u, sizeof bits);
  bits += 0x3f800000u - 0x3f3504f3u;
  float e = to_float(bits >> 23) - 127.0f;
  bits = (bits & 0x007fffffu) + 0x3f3504f3u;
  float f;
  std::memcpy(&f, &bits, sizeof f);
  f = f - 1.0f;
  float q = 0.067464903f * f - 0.116756156f;
  q = q * f + 0.11888212f;
  q = q * f - 0.124055982f;
  q = q * f + 0.142195463f;
  q = q * f - 0.166679949f;
  q = q * f + 0.200021192f;
  q = q * f - 0.250000089f;
  q = q * f + 0.333333135f;
  float square = f * f;
  float tail = q * f * square + (e * 1.42860677e-06f - 0.5f * square);
  return (f + tail) + e * 0.693145751953125f;
}

// Box and Muller: two independent normal numbers from two words.
inline void normal_pair(std::uint32_t a, std::uint32_t b, float& x, float& y) {
  // u = (a + 1/2) / 2^32 to within rounding, in (0, 1]: small values keep their precision, so that the tail reaches 6.6 deviations.
  float u = (to_float(a >> 16) * 65536.0f + to_float(a & 0xffffu)) * 0x1p-32f + 0x1p-33f;
  float radius = __builtin_sqrtf(-2.0f * log_unit(u));
  // The angle 2 pi b / 2^32 is a quadrant (rounded) and a rest within pi / 4 of it.
  std::uint32_t quadrant = (b + 0x20000000u) >> 30;
  float r = static_cast<float>(static_cast<std::int32_t>(b << 2) >> 8) * (0x1p-24f * 1.57079633f);
  float z = r * r;
  float s = ((2.71804606e-06f * z - 0.000198393042f) * z + 0.00833332911f) * z - 0.166666672f;
  s = r + r * (z * s);
  float c = ((2.44324056e-05f * z - 0.00138873095f) * z + 0.0416666456f) * z * z + (1.0f - 0.5f * z);
  float sine = quadrant & 1 ? c : s, cosine = quadrant & 1 ? s : c;
  x = radius * ((quadrant + 1) & 2 ? -cosine : cosine);
  y = radius * (quadrant & 2 ? -sine : sine);
}

// Calls fill(words, out) for every batch, out taking 4 * batch numbers.
template <class F>
void generate(const RandomArgs& args, F fill) {
  std::int64_t blocks = (args.n + 3) / 4;
  parallel_blocks(blocks, piece, [&](std::int64_t begin, std::int64_t end) {
    Words words;
    float out[4 * batch];
    for (std::int64_t b = begin; b < end; b += batch) {
      words_at(args, b, words);
      fill(words, out);
      std::int64_t left = args.n - 4 * b, count = left < 4 * batch ? left : 4 * batch;
      std::memcpy(args.y + 4 * b, out, static_cast<std::size_t>(count) * sizeof(float));
    }
  });
}

}  // namespace

void philox_cpu(const PhiloxArgs& args) {
  Words c = {};
  for (int i = 0; i < 4; ++i) c.w[i][0] = args.counter[i];
  philox(c, args.key[0], args.key[1]);
  for (int i = 0; i < 4; ++i) args.y[i] = c.w[i][0];
}

void uniform_cpu(const RandomArgs& args) {
  generate(args, [low = args.low, width = args.width, last = args.last](const Words& words, float* out) {
#pragma omp simd
    for (int i = 0; i < batch; ++i)
      for (int j = 0; j < 4; ++j) {
        float v = low + width * (to_float(words.w[j][i] >> 8) * 0x1p-24f);
        out[4 * i + j] = v < last ? v : last;
      }
  });
}

void normal_cpu(const RandomArgs& args) {
  generate(args, [mean = args.low, deviation = args.width](const Words& words, float* out) {
    float z[4][batch];
#pragma omp simd
    for (int i = 0; i < batch; ++i) {
      normal_pair(words.w[0][i], words.w[1][i], z[0][i], z[1][i]);
      normal_pair(words.w[2][i], words.w[3][i], z[2][i], z[3][i]);
    }
    for (int i = 0; i < batch; ++i)
      for (int j = 0; j < 4; ++j) out[4 * i + j] = mean + deviation * z[j][i];
  });
}

}  // namespace g2s::kernels::G2S_ISA
