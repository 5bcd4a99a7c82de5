#include "kernels/matmul/matmul_cublaslt.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "engine/context.h"

namespace g2s::kernels {
namespace {

using cuda::blas::MatmulDescription;
using cuda::blas::PreparedMatmul;

constexpr std::int64_t usual_alignment = 16;  // bytes: a vector of four

// What the pointer keeps of it: a tensor may begin anywhere in another.
std::int64_t alignment_of(const Tensor& t) {
  const auto address = reinterpret_cast<std::uintptr_t>(t.raw());
  return std::min<std::int64_t>(usual_alignment, static_cast<std::int64_t>(address & (~address + 1)));
}

struct Plans {
  std::map<std::pair<MatmulDescription, std::string>, std::unique_ptr<PreparedMatmul>> made;
};

// Each product prepared, once by each thread, whose handle it needs; null where there is none.
const PreparedMatmul* prepared_of(const MatmulDescription& p, const char* algorithm) {
  const auto [it, is_new] = thread_object<Plans>().made.try_emplace({p, algorithm ? algorithm : ""});
  if (!is_new) return it->second.get();
  if (algorithm) {
    it->second = cuda::blas::prepare(p, cuda::algorithm_from(algorithm));
    return it->second.get();
  }
  for (const cuda::Algorithm& suggested : cuda::blas::algorithms(p))
    if ((it->second = cuda::blas::prepare(p, suggested))) break;
  return it->second.get();
}

}  // namespace

MatmulDescription describe(const CudaMatmulProblem& p, bool tensor_cores) {
  MatmulDescription q{};
  q.batch = p.batch;
  q.a = {p.transpose_b ? p.k : p.n, p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n, p.shared_b ? 0 : p.k * p.n, usual_alignment};
  q.b = {p.transpose_a ? p.m : p.k, p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k, p.shared_a ? 0 : p.m * p.k, usual_alignment};
  q.c = {p.n, p.m, p.n, p.m * p.n, usual_alignment};
  q.transpose_a = p.transpose_b, q.transpose_b = p.transpose_a;
  q.tensor_cores = tensor_cores;
  return q;
}

bool matmul_cublaslt(const CudaMatmulProblem& problem, const char* algorithm, bool tensor_cores, const Tensor& a, const Tensor& b, Tensor& c) {
  if (problem.batch * problem.m * problem.n * problem.k == 0) return false;
  MatmulDescription p = describe(problem, tensor_cores);
  p.a.alignment = alignment_of(b), p.b.alignment = alignment_of(a), p.c.alignment = alignment_of(c);
  const PreparedMatmul* prepared = prepared_of(p, algorithm);
  if (!prepared) return false;
  Tensor workspace;
  if (prepared->workspace() > 0) workspace = Tensor::empty({static_cast<std::int64_t>(prepared->workspace())}, DType::u8, c.device());
  prepared->run(b.ptr<float>(), a.ptr<float>(), c.mutable_ptr<float>(), workspace.defined() ? workspace.mutable_raw() : nullptr);
  return true;
}

}  // namespace g2s::kernels
