// One thread for the four numbers of a Philox block. The same bits as on the CPU: no multiply-add is fused, and nothing is left to libraries but
// the square root, which rounds correctly everywhere.
#include "engine/cuda/launch.cuh"
#include "engine/cuda/pack.cuh"
#include "kernels/random/random_args.h"

namespace g2s::kernels {
namespace {

struct Words {
  std::uint32_t w[4];
};
using Numbers = cuda::Pack<float, 4>;

__device__ inline float mul(float a, float b) { return __fmul_rn(a, b); }
__device__ inline float add(float a, float b) { return __fadd_rn(a, b); }
__device__ inline float mul_add(float a, float b, float c) { return add(mul(a, b), c); }
__device__ inline float to_float(std::uint32_t v) { return static_cast<float>(static_cast<std::int32_t>(v)); }

// Ten rounds on the counter (n, 0).
__device__ inline Words philox(std::uint64_t n, std::uint64_t key) {
  Words c{{static_cast<std::uint32_t>(n), static_cast<std::uint32_t>(n >> 32), 0, 0}};
  auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint32_t high0 = __umulhi(0xD2511F53u, c.w[0]), low0 = 0xD2511F53u * c.w[0];
    const std::uint32_t high1 = __umulhi(0xCD9E8D57u, c.w[2]), low1 = 0xCD9E8D57u * c.w[2];
    c = {{high1 ^ c.w[1] ^ k0, low1, high0 ^ c.w[3] ^ k1, low0}};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

// log(u) for normal u in (0, 1].
__device__ inline float log_unit(float u) {
  std::uint32_t bits = __float_as_uint(u) + (0x3f800000u - 0x3f3504f3u);
  const float e = add(to_float(bits >> 23), -127.0f);
  bits = (bits & 0x007fffffu) + 0x3f3504f3u;
  const float f = add(__uint_as_float(bits), -1.0f);
  float q = mul_add(0.067464903f, f, -0.116756156f);
  q = mul_add(q, f, 0.11888212f);
  q = mul_add(q, f, -0.124055982f);
  q = mul_add(q, f, 0.142195463f);
  q = mul_add(q, f, -0.166679949f);
  q = mul_add(q, f, 0.200021192f);
  q = mul_add(q, f, -0.250000089f);
  q = mul_add(q, f, 0.333333135f);
  const float square = mul(f, f);
  const float tail = add(mul(mul(q, f), square), add(mul(e, 1.42860677e-06f), -mul(0.5f, square)));
  return add(add(f, tail), mul(e, 0.693145751953125f));
}

// Box and Muller, as in random.isa.cpp.
__device__ inline void normal_pair(std::uint32_t a, std::uint32_t b, float& x, float& y) {
  const float u = add(mul(mul_add(to_float(a >> 16), 65536.0f, to_float(a & 0xffffu)), 0x1p-32f), 0x1p-33f);
  const float radius = std::sqrt(mul(-2.0f, log_unit(u)));
  const std::uint32_t quadrant = (b + 0x20000000u) >> 30;
  const float r = mul(static_cast<float>(static_cast<std::int32_t>(b << 2) >> 8), 0x1p-24f * 1.57079633f);
  const float z = mul(r, r);
  float s = mul_add(2.71804606e-06f, z, -0.000198393042f);
  s = mul_add(mul_add(s, z, 0.00833332911f), z, -0.166666672f);
  s = add(r, mul(r, mul(z, s)));
  float c = mul_add(mul_add(2.44324056e-05f, z, -0.00138873095f), z, 0.0416666456f);
  c = add(mul(mul(c, z), z), add(1.0f, -mul(0.5f, z)));
  const float sine = quadrant & 1 ? c : s, cosine = quadrant & 1 ? s : c;
  x = mul(radius, (quadrant + 1) & 2 ? -cosine : cosine);
  y = mul(radius, quadrant & 2 ? -sine : sine);
}

// numbers(words) for every block; the last one may be wanted in part.
template <class F>
void generate(const char* name, const RandomArgs& args, F numbers) {
  cuda::each(name, (args.n + 3) / 4, [=] __device__(std::int64_t block) {
    const std::uint64_t position = args.counter ? *args.counter : args.position;
    const Numbers out = numbers(philox(position + static_cast<std::uint64_t>(block), args.key));
    float* to = args.y + 4 * block;
    const std::int64_t left = args.n - 4 * block;
    if (left >= 4) return cuda::store(to, out);
    for (int j = 0; j < 4; ++j)
      if (j < left) to[j] = out.v[j];
  });
}

}  // namespace

void uniform_cuda(const RandomArgs& args) {
  const float low = args.low, width = args.width, last = args.last;
  generate("uniform", args, [=] __device__(const Words& words) {
    Numbers out;
    for (int j = 0; j < 4; ++j) {
      const float v = add(low, mul(width, mul(to_float(words.w[j] >> 8), 0x1p-24f)));
      out.v[j] = v < last ? v : last;
    }
    return out;
  });
}

void normal_cuda(const RandomArgs& args) {
  const float mean = args.low, deviation = args.width;
  generate("normal", args, [=] __device__(const Words& words) {
    Numbers out;
    normal_pair(words.w[0], words.w[1], out.v[0], out.v[1]);
    normal_pair(words.w[2], words.w[3], out.v[2], out.v[3]);
    for (int j = 0; j < 4; ++j) out.v[j] = add(mean, mul(deviation, out.v[j]));
    return out;
  });
}

}  // namespace g2s::kernels
