#include "kernels/matmul/matmul.h"

#include <limits>

#include "engine/autograd.h"
#include "engine/cuda/sm_version.h"
#include "engine/multiply_adds.h"
#include "kernels/matmul/gemm_args.h"
#include "kernels/matmul/matmul_args.h"
#include "kernels/matmul/matmul_cublaslt.h"
#include "kernels/matmul/math_mode.h"
#include "kernels/matmul/weight_layout.h"

namespace g2s {
namespace {

struct Sizes {
  std::int64_t batch, m, n, k;
  bool batched_a, batched_b;
  bool transpose_a, transpose_b;
};

constexpr std::int64_t tiny_product = 1 << 14;  // m n k below which a batch is not worth packing

template <class T>
kernels::PlainMatmulArgs<T> plain_args(const Sizes& s, const Tensor& a, const Tensor& b, Tensor& c) {
  kernels::PlainMatmulArgs<T> p{};
  p.a = a.data<T>();
  p.b = b.data<T>();
  p.c = c.mutable_data<T>();
  p.batch = s.batch;
  p.m = s.m, p.n = s.n, p.k = s.k;
  p.a_batch_stride = s.batched_a ? s.m * s.k : 0;
  p.b_batch_stride = s.batched_b ? s.k * s.n : 0;
  p.a_m_stride = s.transpose_a ? 1 : s.k;
  p.a_k_stride = s.transpose_a ? s.m : 1;
  p.b_k_stride = s.transpose_b ? 1 : s.n;
  p.b_n_stride = s.transpose_b ? s.k : 1;
  return p;
}

// c[m, n] = sum_k a[k, m] b[k, n]
void multiply_transposed_a(const Sizes& s, const float* a, const float* b, float* c) {
  static constexpr std::int32_t no_shift = 0;
  kernels::PixelGemmArgs g{};
  g.f = {a, s.k, 1, s.m, 1, s.m};
  g.g = {b, s.k, 1, s.n, 1, s.n};
  g.c = c;
  g.c_m_stride = s.n;
  g.c_tap_stride = s.n;
  g.batch = 1;
  g.rows = s.k;
  g.columns = 1;
  g.taps = 1;
  g.tap_rows = g.tap_columns = &no_shift;
  g.split_k = kernels::pixel_split_k(s.k, s.m, 1, s.n);
  Tensor partial;
  if (g.split_k > 1) {
    partial = Tensor::empty({g.split_k, s.m, s.n});
    g.partial = partial.mutable_data<float>();
  }
  kernels::pixel_gemm(g);
}

// c[m, n] = sum_k a[m, k] op(b)[k, n]
void multiply(const Sizes& s, const float* a, const float* b, const Tensor& owner_of_b, float* c) {
  static constexpr std::int32_t no_shift = 0;
  const kernels::WeightView view{b, owner_of_b, s.k, s.n, s.transpose_b ? 1 : s.n, s.transpose_b ? s.k : 1, {0}};
  const std::int64_t place = b - owner_of_b.data<float>();
  const kernels::PreparedWeight weight =
      kernels::prepare_weight(view, s.m, str("matmul ", s.transpose_b, ' ', place));
  Tensor zeros;
  kernels::IndirectGemmArgs g{};
  g.x = a;
  g.w = weight.data;
  g.y = c;
  g.batch = 1;
  g.x_rows = g.y_rows = g.rows = 1;
  g.x_columns = g.y_columns = g.columns = s.m;
  g.k = s.k;
  g.n = s.n;
  g.y_step = g.x_step = 1;
  g.taps = 1;
  g.tap_rows = g.tap_columns = &no_shift;
  g.tap_width = 1;
  g.zeros = kernels::zeros_for(s.k, zeros);
  g.layout = weight.layout;
  g.tap_offsets = weight.tap_offsets.data();
  g.w_stride = weight.stride;
  kernels::indirect_gemm(g);
}

// One product with all rows, where that is possible.
Sizes merge_batch(Sizes s) {
  if (s.batch > 1 && !s.batched_b && !s.transpose_a) {
    s.m *= s.batch;
    s.batch = 1;
  }
  return s;
}

void matmul_f32(Sizes s, const Tensor& a, const Tensor& b, Tensor& c) {
  s = merge_batch(s);
  if (s.m * s.n * s.k <= tiny_product) {
    kernels::plain_matmul_f32(plain_args<float>(s, a, b, c));
    return;
  }
  for (std::int64_t i = 0; i < s.batch; ++i) {
    const float* left = a.data<float>() + (s.batched_a ? i * s.m * s.k : 0);
    const float* right = b.data<float>() + (s.batched_b ? i * s.k * s.n : 0);
    float* to = c.mutable_data<float>() + i * s.m * s.n;
    if (s.transpose_a && !s.transpose_b) {
      multiply_transposed_a(s, left, right, to);
    } else if (s.transpose_a) {
      Tensor turned = Tensor::empty({s.m, s.k});
      kernels::transpose_matrix({left, turned.mutable_data<float>(), s.k, s.m});
      multiply(s, turned.data<float>(), right, b, to);
    } else {
      multiply(s, left, right, b, to);
    }
  }
}

template <class T>
kernels::MatmulArgs<T> cuda_args(const Sizes& s, kernels::MathMode mode, const Tensor& a, const Tensor& b, Tensor& c, Tensor& partial) {
  for (std::int64_t size : {s.m, s.n, s.k})
    check(size <= std::numeric_limits<std::int32_t>::max() - 1024, "matmul", "a matrix is too large: a ", describe(a), ", b ", describe(b));
  const bool f64 = c.dtype() == DType::f64;
  const bool vectors = !f64 && (s.transpose_a ? s.m : s.k) % 4 == 0 && (s.transpose_b ? s.k : s.n) % 4 == 0;
  const kernels::GemmTiling tiling = kernels::tiling_for(mode, kernels::gemm_tiling(s.m, s.n, s.k, s.batch, vectors, f64), s.k);
  if (tiling.split_k > 1) partial = Tensor::empty({tiling.split_k, c.numel()}, c.dtype(), c.device());
  kernels::MatmulArgs<T> p{};
  p.a = a.ptr<T>();
  p.b = b.ptr<T>();
  p.c = c.mutable_ptr<T>();
  p.partial = partial.defined() ? partial.mutable_ptr<T>() : nullptr;
  p.batch = s.batch;
  p.m = s.m, p.n = s.n, p.k = s.k;
  p.a_batch_stride = s.batched_a ? s.m * s.k : 0;
  p.b_batch_stride = s.batched_b ? s.k * s.n : 0;
  p.transpose_a = s.transpose_a, p.transpose_b = s.transpose_b;
  p.vectors = vectors;
  p.mode = static_cast<std::int32_t>(mode);
  p.tile = static_cast<std::int32_t>(tiling.tile), p.split_k = tiling.split_k, p.steps = tiling.steps;
  return p;
}

// A table may name cuBLASLt on machines that lack it; an override may not.
bool cublaslt_there() {
  const std::string reason = cuda::blas::unavailable_reason();
  if (!reason.empty() && kernels::forced_cuda_matmul() == kernels::CudaMatmulOverride::cublaslt)
    fail(Errc::unsupported, "G2S_CUDA_MATMUL", "cublaslt is forced, but ", reason);
  return reason.empty();
}

void matmul_f32_cuda(const Sizes& s, const Tensor& a, const Tensor& b, Tensor& c) {
  using kernels::CudaMatmulPath, kernels::MathMode;
  const kernels::CudaMatmulProblem problem{s.batch, s.m, s.n, s.k, s.transpose_a, s.transpose_b, !s.batched_a, !s.batched_b};
  const kernels::CudaMatmulChoice choice = kernels::choose_cuda_matmul(problem, cuda::sm_version());
  const MathMode mode = kernels::math_mode(MathMode::fma);
  // Of bf16 there is none: it is for convolutions.
  if (choice.path == CudaMatmulPath::cublaslt && mode != MathMode::bf16 && cublaslt_there() &&
      kernels::matmul_cublaslt(problem, choice.algorithm, mode == MathMode::tf32, a, b, c))
    return;
  Tensor partial;
  kernels::matmul_f32(cuda_args<float>(s, mode, a, b, c, partial));
}

void launch(const Sizes& s, const Tensor& a, const Tensor& b, Tensor& c) {
  Tensor partial;
  const bool f64 = c.dtype() == DType::f64;
  if (c.on_cuda() && f64) kernels::matmul_f64(cuda_args<double>(merge_batch(s), kernels::MathMode::fma, a, b, c, partial));
  else if (c.on_cuda()) matmul_f32_cuda(merge_batch(s), a, b, c);
  else if (f64) kernels::plain_matmul_f64(plain_args<double>(s, a, b, c));
  else matmul_f32(s, a, b, c);
}

// The gradient to an operand that all batches share: the sum over them.
Tensor sum_batches(const Tensor& g) {
  const std::int64_t batch = g.dim(0), rows = g.dim(1), columns = g.dim(2);
  return matmul(Tensor::full({1, batch}, 1, g.dtype(), g.device()), g.reshape({batch, rows * columns})).reshape({rows, columns});
}

Sizes measure(const char* op, const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b) {
  for (const Tensor* t : {&a, &b})
    check(t->defined() && (t->rank() == 2 || t->rank() == 3), op, "operands must have rank 2 or 3, got ",
          t->defined() ? describe(*t) : "an undefined tensor");
  auto both = [&] { return str("(a ", describe(a), transpose_a ? " transposed" : "", ", b ", describe(b), transpose_b ? " transposed)" : ")"); };
  check(a.dtype() == b.dtype() && is_real(a.dtype()), op, "needs two tensors of f32 or of f64 ", both());
  check(a.device() == b.device(), op, "a is on ", a.device(), ", b on ", b.device());
  Sizes s{};
  s.batched_a = a.rank() == 3;
  s.batched_b = b.rank() == 3;
  s.transpose_a = transpose_a;
  s.transpose_b = transpose_b;
  s.m = a.dim(transpose_a ? -1 : -2);
  s.k = a.dim(transpose_a ? -2 : -1);
  s.n = b.dim(transpose_b ? -2 : -1);
  const std::int64_t b_k = b.dim(transpose_b ? -1 : -2);
  check(s.k == b_k, op, "a has ", s.k, " columns, b ", b_k, " rows ", both());
  if (s.batched_a && s.batched_b) check(a.dim(0) == b.dim(0), op, "a has ", a.dim(0), " batches, b ", b.dim(0), " ", both());
  s.batch = s.batched_a ? a.dim(0) : s.batched_b ? b.dim(0) : 1;
  return s;
}

// Is `one` a batch of 1 beside a larger one?
bool is_shared(const Tensor& one, const Tensor& other) {
  return one.defined() && other.defined() && one.rank() == 3 && other.rank() == 3 && one.dim(0) == 1 && other.dim(0) > 1;
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b) {
  if (is_shared(a, b)) return matmul(a.reshape({a.dim(1), a.dim(2)}), b, transpose_a, transpose_b);
  if (is_shared(b, a)) return matmul(a, b.reshape({b.dim(1), b.dim(2)}), transpose_a, transpose_b);
  const Sizes s = measure("matmul", a, b, transpose_a, transpose_b);
  const bool batched = s.batched_a || s.batched_b;
  Tensor c = Tensor::empty(batched ? Shape{s.batch, s.m, s.n} : Shape{s.m, s.n}, a.dtype(), a.device());
  count_multiply_adds(s.batch * s.m * s.n * s.k);
  launch(s, a, b, c);
  BackwardFn fn = [=, a = will_record({&b}) ? a : Tensor{}, b = will_record({&a}) ? b : Tensor{}](const BackwardArgs& args) {
    std::vector<Tensor> gradients(2);
    if (args.needs[0]) {
      Tensor g = transpose_a ? matmul(b, args.dy, transpose_b, true) : matmul(args.dy, b, false, !transpose_b);
      gradients[0] = s.batched_a || g.rank() == 2 ? g : sum_batches(g);
    }
    if (args.needs[1]) {
      if (!s.batched_b && s.batched_a && !transpose_a) {  // the sum over batches is part of one product
        Tensor rows = a.reshape({s.batch * s.m, s.k}), dy = args.dy.reshape({s.batch * s.m, s.n});
        gradients[1] = transpose_b ? matmul(dy, rows, true, false) : matmul(rows, dy, true, false);
      } else {
        Tensor g = transpose_b ? matmul(args.dy, a, true, transpose_a) : matmul(a, args.dy, !transpose_a, false);
        gradients[1] = s.batched_b || g.rank() == 2 ? g : sum_batches(g);
      }
    }
    return gradients;
  };
  return record(c, "matmul", {a, b}, std::move(fn));
}

}  // namespace g2s
