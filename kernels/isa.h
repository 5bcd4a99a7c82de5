// One binary, several instruction sets. A file kernels/<family>/X.isa.cpp is compiled once per instruction set, inside the namespace
// G2S_ISA, and the dispatcher that G2S_ISA_KERNEL defines picks at run time.
//
// Rules for X.isa.cpp: include only POD argument headers, X.isa.h, engine/parallel.h, <cmath>, <cstdint>, <cstring> and the like; put every helper into
// an anonymous namespace inside namespace G2S_ISA. A non-static inline function or a std:: template that is not inlined would be emitted with
// this file's instruction set and could be picked by the linker for the whole program (tests/structure checks the objects for it).
#pragma once

namespace g2s::kernels {

enum class Isa {
  base,  // what the compiler targets by default
  v3,    // x86-64-v3: AVX2, FMA
  v4,    // x86-64-v4: AVX-512 F, BW, CD, DQ, VL
};

// The best that this machine runs; the environment variable G2S_ISA=base|v3|v4 lowers it (for tests).
Isa isa();
const char* to_string(Isa isa);

// What multiplies numbers in bfloat16, for Precision::bf16. Files X.bf16.isa.cpp are compiled for the last two.
enum class Bf16Unit {
  none,
  vectors,  // AVX512-BF16
  tiles,    // AMX
};

// The best that this machine and its kernel grant; the override G2S_BF16=none|vectors|tiles (engine/context.h)
// lowers it (for tests), and so does an isa() below v4. Throws if the machine has less than the override wants.
Bf16Unit bf16_unit();
const char* to_string(Bf16Unit unit);

// Throws: the tensors are on a CUDA device, but `kernel` has no CUDA version.
[[noreturn]] void no_cuda_kernel(const char* kernel);

}  // namespace g2s::kernels

// Declares kernel `name(const Args&)` in each instruction set's namespace and defines the dispatcher g2s::kernels::name.
// Use it inside namespace g2s::kernels.
#if defined(G2S_HAVE_X86_ISA)
#define G2S_ISA_KERNEL(name, Args)                                     \
  namespace base { void name(const Args&); }                           \
  namespace v3 { void name(const Args&); }                             \
  namespace v4 { void name(const Args&); }                             \
  static inline void name(const Args& args) {                          \
    switch (isa()) {                                                   \
      case Isa::v4: return v4::name(args);                             \
      case Isa::v3: return v3::name(args);                             \
      default: return base::name(args);                                \
    }                                                                  \
  }
#else
#define G2S_ISA_KERNEL(name, Args)            \
  namespace base { void name(const Args&); }  \
  static inline void name(const Args& args) { base::name(args); }
#endif

// The same for kernels of X.bf16.isa.cpp, which need one of the units.
#if defined(G2S_HAVE_X86_ISA)
#define G2S_BF16_KERNEL(name, Args)                                                                  \
  namespace avx512bf16 { void name(const Args&); }                                                   \
  namespace amx { void name(const Args&); }                                                          \
  static inline void name(const Args& args) {                                                        \
    return bf16_unit() == Bf16Unit::tiles ? amx::name(args) : avx512bf16::name(args);                \
  }
#else
#define G2S_BF16_KERNEL(name, Args) \
  static inline void name(const Args&) {}  // never called: there is no unit
#endif

// A kernel on both devices: name_cpu from X.isa.cpp, name_cuda from X.cu, and name(on_cuda, args), which picks. Launching on CUDA returns at once.
// name_cuda is weak: a program without CUDA has none, and no tensor there either.
#define G2S_KERNEL(name, Args)                        \
  G2S_ISA_KERNEL(name##_cpu, Args)                    \
  __attribute__((weak)) void name##_cuda(const Args&); \
  static inline void name(bool on_cuda, const Args& args) { \
    if (!on_cuda) return name##_cpu(args);            \
    void (*const impl)(const Args&) = name##_cuda; /* of these arguments: the name may be overloaded */ \
    if (!impl) no_cuda_kernel(#name);                 \
    impl(args);                                       \
  }

// The same for f32 and for f64, by one name. Args is a template of the type.
#define G2S_REAL_KERNEL(name, Args) \
  G2S_KERNEL(name, Args<float>)     \
  G2S_KERNEL(name, Args<double>)

// Defines name_cpu or name_cuda of such a kernel by a template of that type.
#define G2S_REAL_ENTRY(entry, Args, implementation)             \
  void entry(const Args<float>& args) { implementation(args); } \
  void entry(const Args<double>& args) { implementation(args); }

// A kernel for CUDA alone, where the CPU goes another way.
#define G2S_CUDA_KERNEL(name, Args)                     \
  __attribute__((weak)) void name##_cuda(const Args&);  \
  static inline void name(const Args& args) {           \
    if (!name##_cuda) no_cuda_kernel(#name);            \
    name##_cuda(args);                                  \
  }
