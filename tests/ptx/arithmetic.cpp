#include "tests/ptx/arithmetic.h"

#include <algorithm>
#include <bit>
#include <cfenv>
#include <cmath>
#include <iterator>
#include <limits>
#include <string>
#include <type_traits>

#include "engine/error.h"

namespace g2s::ptx {
namespace {

enum Code {
  add, sub, mul, mad, fma, div, rem, min, max, abs, neg, shl, shr, and_, or_, xor_, not_, mov, selp, setp, cvt, cvta, rcp, sqrt, rsqrt, ex2, lg2, copysign, clz, popc,
  bfi, bfe, shf, addc, subc, madc, brev, prmt, lop3, codes
};
const char* const names[] = {"add", "sub", "mul", "mad", "fma", "div", "rem", "min", "max", "abs", "neg", "shl", "shr", "and", "or", "xor", "not", "mov", "selp", "setp",
                             "cvt", "cvta", "rcp", "sqrt", "rsqrt", "ex2", "lg2", "copysign", "clz", "popc", "bfi", "bfe", "shf", "addc", "subc", "madc", "brev", "prmt",
                             "lop3"};
static_assert(std::size(names) == codes);

[[noreturn]] void unknown(const Instruction& i) { fail(Errc::unsupported, "ptx", "line ", i.line, ": ", i.name, " with these modifiers is not interpreted"); }

template <class T> T as(std::uint64_t bits) {
  if constexpr (sizeof(T) == 8) return std::bit_cast<T>(bits);
  else if constexpr (sizeof(T) == 4) return std::bit_cast<T>(static_cast<std::uint32_t>(bits));
  else return static_cast<T>(bits);
}
template <class T> std::uint64_t bits(T v) {
  if constexpr (sizeof(T) == 8) return std::bit_cast<std::uint64_t>(v);
  else if constexpr (sizeof(T) == 4) return std::bit_cast<std::uint32_t>(v);
  else return static_cast<std::make_unsigned_t<T>>(v);
}

// Runs f while the processor rounds as the modifier says.
template <class F> auto rounded(const Instruction& i, F f) {
  const int way = i.has(Mark::rm) ? FE_DOWNWARD : i.has(Mark::rp) ? FE_UPWARD : i.has(Mark::rz) ? FE_TOWARDZERO : FE_TONEAREST;
  if (way == FE_TONEAREST) return f();
  std::fesetround(way);
  volatile auto result = f();
  std::fesetround(FE_TONEAREST);
  return static_cast<std::remove_volatile_t<decltype(result)>>(result);
}

template <class T> T flushed(const Instruction& i, T v) {
  return i.has(Mark::ftz) && std::abs(v) < std::numeric_limits<T>::min() ? std::copysign(T(0), v) : v;
}

template <class T> T saturated(const Instruction& i, T v) { return !i.has(Mark::sat) ? v : v > 0 ? (v < 1 ? v : T(1)) : T(0); }

template <class T> std::uint64_t of_floats(const Instruction& i, const Inputs& in) {
  volatile T a = flushed(i, as<T>(in.a)), b = flushed(i, as<T>(in.b)), c = flushed(i, as<T>(in.c));
  T r = 0;
  switch (i.code) {
    case add: r = rounded(i, [&] { return T(a + b); }); break;
    case sub: r = rounded(i, [&] { return T(a - b); }); break;
    case mul: r = rounded(i, [&] { return T(a * b); }); break;
    case mad:
    case fma: r = rounded(i, [&] { return std::fma(T(a), T(b), T(c)); }); break;
    case div: r = rounded(i, [&] { return T(a / b); }); break;
    case min: r = std::isnan(T(a)) ? T(b) : std::isnan(T(b)) ? T(a) : std::signbit(T(a)) == std::signbit(T(b)) ? (a < b ? T(a) : T(b)) : std::signbit(T(a)) ? T(a) : T(b); break;
    case max: r = std::isnan(T(a)) ? T(b) : std::isnan(T(b)) ? T(a) : std::signbit(T(a)) == std::signbit(T(b)) ? (a > b ? T(a) : T(b)) : std::signbit(T(a)) ? T(b) : T(a); break;
    case abs: r = std::abs(T(a)); break;
    case neg: r = -a; break;
    case rcp: r = T(1) / a; break;
    case sqrt: r = std::sqrt(T(a)); break;
    case rsqrt: r = static_cast<T>(1 / std::sqrt(static_cast<long double>(a))); break;
    case ex2: r = static_cast<T>(std::exp2(static_cast<double>(a))); break;
    case lg2: r = static_cast<T>(std::log2(static_cast<double>(a))); break;
    case copysign: r = std::copysign(T(b), T(a)); break;
    default: unknown(i);
  }
  return bits(saturated(i, flushed(i, r)));
}

template <class T> T high(T a, T b) {
  using Wide = std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>;
  return static_cast<T>(static_cast<Wide>(a) * static_cast<Wide>(b) >> (8 * sizeof(T)));
}

template <class T> std::uint64_t product(const Instruction& i, const Inputs& in, bool with_sum) {
  using U = std::make_unsigned_t<T>;
  const T a = as<T>(in.a), b = as<T>(in.b);
  if (i.has(Mark::wide)) {
    using Wide = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
    const auto p = static_cast<std::uint64_t>(static_cast<Wide>(a) * static_cast<Wide>(b));
    return (p + (with_sum ? in.c : 0)) & (sizeof(T) == 2 ? 0xffffffffull : ~0ull);
  }
  const U p = i.has(Mark::hi) ? static_cast<U>(high(a, b)) : static_cast<U>(static_cast<std::uint64_t>(static_cast<U>(a)) * static_cast<U>(b));
  return static_cast<U>(p + (with_sum ? as<U>(in.c) : U(0)));
}

template <class T> std::uint64_t of_integers(const Instruction& i, const Inputs& in) {
  using U = std::make_unsigned_t<T>;
  constexpr unsigned width = 8 * sizeof(T);
  const T a = as<T>(in.a), b = as<T>(in.b);
  const U u = as<U>(in.a), v = as<U>(in.b);
  const auto by = static_cast<std::uint32_t>(in.b);
  const bool overflows = std::is_signed_v<T> && b == T(-1);
  switch (i.code) {
    case add: return bits(static_cast<U>(u + v));
    case sub: return bits(static_cast<U>(u - v));
    case mul: return product<T>(i, in, false);
    case mad: return product<T>(i, in, true);
    case div: return b == 0 ? ~0ull >> (64 - width) : overflows ? bits(static_cast<U>(U(0) - u)) : bits(static_cast<T>(a / b));
    case rem: return b == 0 ? bits(a) : overflows ? 0 : bits(static_cast<T>(a % b));
    case min: return bits(a < b ? a : b);
    case max: return bits(a > b ? a : b);
    case abs: return bits(static_cast<U>(a < 0 ? U(0) - u : u));
    case neg: return bits(static_cast<U>(U(0) - u));
    case shl: return by >= width ? 0 : bits(static_cast<U>(u << by));
    case shr: return bits(static_cast<T>(by >= width ? (a < 0 ? -1 : 0) : a >> by));
    case and_: return bits(static_cast<U>(u & v));
    case or_: return bits(static_cast<U>(u | v));
    case xor_: return bits(static_cast<U>(u ^ v));
    case not_: return bits(static_cast<U>(~u));
    case mov: return bits(u);
    case clz: return static_cast<unsigned>(std::countl_zero(u));
    case popc: return static_cast<unsigned>(std::popcount(u));
    case bfi: {  // a into b, at c, of d bits
      const auto at = static_cast<unsigned>(in.c & 0xff), count = static_cast<unsigned>(in.d & 0xff);
      const U mask = at >= width ? 0 : static_cast<U>((count >= width ? ~U(0) : static_cast<U>((U(1) << count) - 1)) << at);
      return bits(static_cast<U>((v & static_cast<U>(~mask)) | (at >= width ? 0 : static_cast<U>(u << at) & mask)));
    }
    case brev: {
      U r = 0;
      for (unsigned k = 0; k < width; ++k) r = static_cast<U>(r | static_cast<U>((u >> k & 1u) << (width - 1 - k)));
      return bits(r);
    }
    default: unknown(i);
  }
}

// With the carry flag, 32 bits.
Output with_carry(const Instruction& i, const Inputs& in) {
  const std::uint64_t a = static_cast<std::uint32_t>(in.a), b = static_cast<std::uint32_t>(in.b), c = static_cast<std::uint32_t>(in.c);
  if (i.from != Type::u32 && i.from != Type::s32 && i.from != Type::b32) unknown(i);
  std::uint64_t r = 0;
  bool borrowed = false;
  switch (i.code) {
    case add: r = a + b; break;
    case addc: r = a + b + in.carry; break;
    case sub: r = a - b, borrowed = true; break;
    case subc: r = a - b - in.carry, borrowed = true; break;
    case mad:
    case madc: r = (i.has(Mark::hi) ? a * b >> 32 : a * b & 0xffffffffu) + c + (i.code == madc ? in.carry : 0); break;
    default: unknown(i);
  }
  const bool over = borrowed ? r >> 63 != 0 : r >> 32 != 0;
  return {r & 0xffffffffu, false, i.has(Mark::cc) ? over : in.carry};
}

enum Relation { eq, ne, lt, le, gt, ge, nan, num, equ, neu, ltu, leu, gtu, geu, relations };
const char* const relation_names[] = {"eq", "ne", "lt", "le", "gt", "ge", "nan", "num", "equ", "neu", "ltu", "leu", "gtu", "geu"};
static_assert(std::size(relation_names) == relations);

template <class T> bool compared(const Instruction& i, T a, T b) {
  const bool unordered = a != a || b != b;
  switch (i.relation) {
    case eq: return !unordered && a == b;
    case ne: return !unordered && a != b;
    case lt: return a < b;
    case le: return a <= b;
    case gt: return a > b;
    case ge: return a >= b;
    case nan: return unordered;
    case num: return !unordered;
    case equ: return unordered || a == b;
    case neu: return unordered || a != b;
    case ltu: return unordered || a < b;
    case leu: return unordered || a <= b;
    case gtu: return unordered || a > b;
    case geu: return unordered || a >= b;
    default: unknown(i);
  }
}

template <class F> auto by_type(const Instruction& i, Type type, F f) {
  switch (type) {
    case Type::u8: case Type::b8: return f(std::uint8_t{});
    case Type::s8: return f(std::int8_t{});
    case Type::u16: case Type::b16: return f(std::uint16_t{});
    case Type::s16: return f(std::int16_t{});
    case Type::u32: case Type::b32: return f(std::uint32_t{});
    case Type::s32: return f(std::int32_t{});
    case Type::u64: case Type::b64: return f(std::uint64_t{});
    case Type::s64: return f(std::int64_t{});
    default: unknown(i);
  }
}

double whole(const Instruction& i, double v) {
  return i.has("rni") ? std::nearbyint(v) : i.has("rmi") ? std::floor(v) : i.has("rpi") ? std::ceil(v) : std::trunc(v);
}

std::uint64_t bfloat16(std::uint64_t f) {
  const auto u = static_cast<std::uint32_t>(f);
  if ((u & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
  return (u + 0x7fffu + (u >> 16 & 1u)) >> 16;
}

std::uint64_t converted(const Instruction& i, const Inputs& in) {
  const bool to_float = i.type == Type::f32 || i.type == Type::f64, from_float = i.from == Type::f32 || i.from == Type::f64;
  if (i.type == Type::bf16x2) return bfloat16(in.a) << 16 | bfloat16(in.b);
  if (i.type == Type::tf32) return (in.a + 0x1000u) & 0xffffe000u;  // ties away from zero
  if (from_float) {
    const double v = i.from == Type::f32 ? flushed(i, as<float>(in.a)) : as<double>(in.a);
    const bool integral = i.has("rni") || i.has("rzi") || i.has("rmi") || i.has("rpi");
    if (i.type == Type::f64) return bits(saturated(i, integral ? whole(i, v) : v));
    if (i.type == Type::f32) return bits(saturated(i, rounded(i, [&] { volatile double x = integral ? whole(i, v) : v; return static_cast<float>(x); })));
    return by_type(i, i.type, [&](auto zero) -> std::uint64_t {
      using T = decltype(zero);
      const double x = whole(i, v);
      if (std::isnan(x)) return 0;
      if (x <= static_cast<double>(std::numeric_limits<T>::min())) return bits(std::numeric_limits<T>::min());
      if (x >= static_cast<double>(std::numeric_limits<T>::max())) return bits(std::numeric_limits<T>::max());
      return bits(static_cast<T>(x));
    });
  }
  return by_type(i, i.from, [&](auto zero) -> std::uint64_t {
    const auto v = as<decltype(zero)>(in.a);
    if (i.type == Type::f32) return bits(rounded(i, [&] { return static_cast<float>(v); }));
    if (i.type == Type::f64) return bits(rounded(i, [&] { return static_cast<double>(v); }));
    if (to_float || i.has(Mark::sat)) unknown(i);
    return by_type(i, i.type, [&](auto to) -> std::uint64_t { return bits(static_cast<decltype(to)>(v)); });
  });
}

Output set_predicate(const Instruction& i, const Inputs& in) {
  Output out;
  if (i.from == Type::f32) out.flag = compared(i, flushed(i, as<float>(in.a)), flushed(i, as<float>(in.b)));
  else if (i.from == Type::f64) out.flag = compared(i, as<double>(in.a), as<double>(in.b));
  else out.flag = by_type(i, i.from, [&](auto zero) { return compared(i, as<decltype(zero)>(in.a), as<decltype(zero)>(in.b)); });
  if (i.operands.size() == 4) out.flag = i.has("and") ? out.flag && in.p : i.has("or") ? out.flag || in.p : out.flag != in.p;
  out.carry = in.carry;
  return out;
}

}  // namespace

int code_of(const Instruction& i) {
  for (int k = 0; k < codes; ++k)
    if (i.name == names[k]) return k;
  return -1;
}

int relation_of(const Instruction& i) {
  if (i.name != "setp") return 0;
  for (int k = 0; k < relations; ++k)
    if (i.modifiers[0] == relation_names[k]) return k;
  return relations;
}

Output compute(const Instruction& i, const Inputs& in) {
  if (i.code == setp) return set_predicate(i, in);
  if (i.has(Mark::cc) || i.code == addc || i.code == subc || i.code == madc) return with_carry(i, in);
  Output out{0, false, in.carry};
  if (i.code == selp) out.value = in.p ? in.a : in.b;
  else if (i.code == cvt) out.value = converted(i, in);
  else if (i.code == cvta) out.value = in.a;
  else if (i.code == mov) out.value = in.a;
  else if (i.code == shf) {
    const std::uint64_t both = in.b << 32 | static_cast<std::uint32_t>(in.a);
    const auto by = static_cast<unsigned>(i.has("wrap") ? in.c & 31 : std::min<std::uint64_t>(static_cast<std::uint32_t>(in.c), 32));
    out.value = static_cast<std::uint32_t>(i.has("l") ? both << by >> 32 : both >> by);
  } else if (i.from == Type::f32) out.value = of_floats<float>(i, in);
  else if (i.from == Type::f64) out.value = of_floats<double>(i, in);
  else out.value = by_type(i, i.from, [&](auto zero) { return of_integers<decltype(zero)>(i, in); });
  return out;
}

}  // namespace g2s::ptx
