#include "engine/context.h"
#include "bench/tune_cuda.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <vector>

#include "bench/cases.h"
#include "bench/cuda_timer.h"
#include "bench/dnn_properties.h"
#include "engine/accelerator.h"
#include "engine/autograd.h"
#include "engine/cuda/sm_version.h"
#include "engine/files.h"
#include "kernels/conv/conv_cudnn.h"
#include "kernels/matmul/matmul.h"
#include "kernels/matmul/matmul_cublaslt.h"
#include "kernels/matmul/math_mode.h"
#include "kernels/random/random.h"

namespace g2s::bench {
namespace {

using namespace kernels;

// Every network at the sizes and batches of the presets.
const std::vector<std::string> cases_to_tune = {"G128_b1_fwdbwd", "G128_b8_fwdbwd", "Gsmall64_b16_fwdbwd", "Dfeat128_b1_fwdbwd", "Dfeat_small64_b16_fwdbwd",
                                      "LPIPS128_b1_fwdbwd", "LPIPS128_b16_fwdbwd", "LPIPS64_b16_fwdbwd", "step1_64", "step2_64_b16", "step3_64_b16",
                                      "step1_128", "step2_128_b16", "step3_128_b16"};
const std::vector<std::string> cases_to_plan = {"G128_b1_fwdbwd", "Dfeat128_b1_fwdbwd", "LPIPS128_b1_fwdbwd", "EDDeconv128_b1_fwdbwd", "ResEncoder128_b16_fwdbwd"};
constexpr double clear_gain = 0.97;  // a candidate must need less than this of the rule's time to replace it
constexpr std::size_t most_algorithms = 16;

const std::string conv_head =
    "// Written by g2s_bench --tune --device cuda: measure again instead of editing.\n"
    "// SM version; kind, factors, batch, rows, columns and channels of x, of y, rows and columns of the kernel, stride, pad, dilation; fastest\n"
    "// path, of cuDNN with its engine and knobs.\n";
const std::string matmul_head =
    "// Written by g2s_bench --tune --device cuda: measure again instead of editing.\n"
    "// SM version; batch, m, n, k, a and b transposed, a and b shared by the batch; fastest path, of cuBLASLt with its algorithm.\n";

struct Problems {
  std::set<CudaConvProblem> convolutions;
  std::set<CudaMatmulProblem> products;
};

Problems problems_of(const std::string& assets, const std::vector<std::string>& names) {
  const std::map<std::string, Setup> all = cases(assets);
  Problems found;
  for (const std::string& name : names) {
    std::fprintf(stderr, "looking at %s\n", name.c_str());
    const auto it = all.find(name);
    if (it == all.end()) fail(Errc::internal, "--tune", "there is no case ", name);
    const Body body = it->second();
    observe_cuda_convs([&](const CudaConvProblem& p) { found.convolutions.insert(p); });
    observe_cuda_matmuls([&](const CudaMatmulProblem& p) { found.products.insert(p); });
    body.run();
    observe_cuda_convs({});
    observe_cuda_matmuls({});
  }
  return found;
}

// A way to compute something, and what its row of a table would say.
template <class Path>
struct Candidate {
  Candidate(Path p, std::string a, std::function<void()> r) : path(p), algorithm(std::move(a)), run(std::move(r)) {}
  double median() const { return times[times.size() / 2]; }

  Path path;
  std::string algorithm;
  std::function<void()> run;
  std::vector<double> times;  // ascending once all are there
};

// Medians count.
template <class Path>
void time_in_turns(std::vector<Candidate<Path>>& candidates, int rounds) {
  for (int round = -1; round < rounds; ++round)
    for (Candidate<Path>& c : candidates) {
      const double time = cuda::milliseconds_of(c.run);
      if (round >= 0) c.times.push_back(time);  // the first builds plans
    }
  for (Candidate<Path>& c : candidates) std::sort(c.times.begin(), c.times.end());
}

// The first is what the rule takes.
template <class Path>
const Candidate<Path>& fastest(const std::vector<Candidate<Path>>& candidates) {
  const Candidate<Path>* best = &candidates.front();
  double limit = clear_gain * best->median();
  for (const Candidate<Path>& c : candidates)
    if (c.median() < limit) best = &c, limit = c.median();
  return *best;
}

// The mode in which our kernels compute `path`, and lets factors be what the problem says.
MathMode mode_of(CudaConvPath path) { return static_cast<MathMode>(path); }

std::vector<Candidate<CudaConvPath>> candidates_of(const CudaConvProblem& p, int sm) {
  const CudaConvPath rule = cuda_conv_by_rule(p, sm);
  Random random(0, "tune");
  const Tensor x = random.normal({p.batch, p.x_rows, p.x_columns, p.x_channels}), y = random.normal({p.batch, p.y_rows, p.y_columns, p.y_channels}),
               w = random.normal({p.y_channels, p.kernel_rows, p.kernel_columns, p.x_channels});
  const bool forward = p.kind == ConvKind::forward, weight = p.kind == ConvKind::weight_grad;
  const Tensor first = forward || weight ? x : y, second = weight ? y : w;
  Tensor result = forward ? y.clone() : weight ? w.clone() : x.clone();
  const ConvShape shape{p.batch,        p.x_rows, p.x_columns, p.x_channels, p.y_rows, p.y_columns, p.y_channels, p.kernel_rows,
                        p.kernel_columns, p.stride, p.pad,       p.dilation};
  std::vector<Candidate<CudaConvPath>> all;
  for (CudaConvPath path : {rule, CudaConvPath::fma, CudaConvPath::tf32, CudaConvPath::bf16}) {
    if (!possible(path, p, sm) || (path == rule && !all.empty())) continue;
    all.push_back({path, "", [=]() mutable {
                     const WithOverride with("G2S_CUDA_MATH", to_string(mode_of(path)));
                     const WithOverride own("G2S_CUDA_CONV", "own");
                     conv_cuda(p.kind, shape, first, second, result);
                   }});
  }
  if (!possible(CudaConvPath::cudnn, p, sm) || !cuda::dnn::unavailable_reason().empty()) return all;
  const cuda::dnn::Convolution described = describe(p);
  std::size_t taken = 0;
  for (const cuda::Algorithm& engine : cuda::dnn::engines(described)) {
    if (taken == most_algorithms) break;
    if (!cuda::dnn::plan(described, engine)) continue;
    ++taken;
    const std::string text = cuda::to_string(engine);
    all.push_back({CudaConvPath::cudnn, text, [=]() mutable { conv_cudnn(p, text.c_str(), first, second, result, {}); }});
  }
  return all;
}

std::vector<Candidate<CudaMatmulPath>> candidates_of(const CudaMatmulProblem& p) {
  Random random(0, "tune");
  const auto matrix = [&](bool shared, std::int64_t rows, std::int64_t columns) {
    return random.normal(shared ? Shape{rows, columns} : Shape{p.batch, rows, columns});
  };
  const Tensor a = p.transpose_a ? matrix(p.shared_a, p.k, p.m) : matrix(p.shared_a, p.m, p.k),
               b = p.transpose_b ? matrix(p.shared_b, p.n, p.k) : matrix(p.shared_b, p.k, p.n);
  Tensor c = random.normal({p.batch, p.m, p.n});
  std::vector<Candidate<CudaMatmulPath>> all;
  all.push_back({CudaMatmulPath::fma, "", [=] {
                   const WithOverride with("G2S_CUDA_MATH", to_string(MathMode::fma));
                   const WithOverride own("G2S_CUDA_MATMUL", "own");
                   matmul(a, b, p.transpose_a, p.transpose_b);
                 }});
  if (p.batch * p.m * p.n * p.k == 0 || !cuda::blas::unavailable_reason().empty()) return all;
  for (const cuda::Algorithm& algorithm : cuda::blas::algorithms(describe(p, false))) {
    const std::string text = cuda::to_string(algorithm);
    all.push_back({CudaMatmulPath::cublaslt, text, [=]() mutable { matmul_cublaslt(p, text.c_str(), false, a, b, c); }});
  }
  return all;
}

std::string quoted(const std::string& algorithm) { return algorithm.empty() ? "" : ", \"" + algorithm + '"'; }

std::string row(int sm, const CudaConvProblem& p, CudaConvPath path, const std::string& algorithm) {
  return str("{", sm, ", {ConvKind::", to_string(p.kind), ", Factors::", to_string(p.factors), ", ", p.batch, ", ", p.x_rows, ", ", p.x_columns, ", ",
             p.x_channels, ", ", p.y_rows, ", ", p.y_columns, ", ", p.y_channels, ", ", p.kernel_rows, ", ", p.kernel_columns, ", ", p.stride, ", ", p.pad,
             ", ", p.dilation, "}, CudaConvPath::", to_string(path), quoted(algorithm), "},\n");
}

std::string row(int sm, const CudaMatmulProblem& p, CudaMatmulPath path, const std::string& algorithm) {
  const auto yes = [](bool b) { return b ? "true" : "false"; };
  return str("{", sm, ", {", p.batch, ", ", p.m, ", ", p.n, ", ", p.k, ", ", yes(p.transpose_a), ", ", yes(p.transpose_b), ", ", yes(p.shared_a), ", ",
             yes(p.shared_b), "}, CudaMatmulPath::", to_string(path), quoted(algorithm), "},\n");
}

// Of the rows there are, those of other devices stay, before and behind the new ones.
template <class Row, class Problem, class Path>
std::string table(const Row* begin, const Row* end, int sm, const std::map<Problem, std::pair<Path, std::string>>& measured) {
  std::string before, behind, mine;
  for (const Row* r = begin; r != end; ++r) {
    if (r->sm == sm) continue;
    (r->sm < sm ? before : behind) += row(r->sm, r->problem, r->path, r->algorithm ? r->algorithm : "");
  }
  for (const auto& [problem, choice] : measured) mine += row(sm, problem, choice.first, choice.second);
  return before + mine + behind;
}

template <class Row, class Problem, class Path>
void keep_rows(const Row* begin, const Row* end, int sm, std::map<Problem, std::pair<Path, std::string>>& measured) {
  for (const Row* r = begin; r != end; ++r)
    if (r->sm == sm) measured[r->problem] = {r->path, r->algorithm ? r->algorithm : ""};
}

template <class Problem, class Path>
void measure(int sm, const Problem& p, std::vector<Candidate<Path>> candidates, int rounds, std::map<Problem, std::pair<Path, std::string>>& measured) {
  time_in_turns(candidates, rounds);
  const Candidate<Path>& best = fastest(candidates);
  measured[p] = {best.path, best.algorithm};
  std::string line = row(sm, p, best.path, best.algorithm);
  line.pop_back();
  std::printf("%s  // %.4f ms, the rule's %.4f, %zu candidates\n", line.c_str(), best.median(), candidates.front().median(), candidates.size());
  std::fflush(stdout);
}

}  // namespace

void tune_cuda(const std::string& assets, const std::string& kernels, const std::string& only, int rounds) {
  const int sm = cuda::sm_version();
  const Problems found = problems_of(assets, only.empty() ? cases_to_tune : std::vector{only});
  const NoGrad no_grad;
  std::map<CudaConvProblem, std::pair<CudaConvPath, std::string>> convolutions;
  std::map<CudaMatmulProblem, std::pair<CudaMatmulPath, std::string>> products;
  if (!only.empty()) {  // what other cases have stays
    keep_rows(cuda_conv_table_begin(), cuda_conv_table_end(), sm, convolutions);
    keep_rows(cuda_matmul_table_begin(), cuda_matmul_table_end(), sm, products);
  }
  for (Factors factors : {Factors::f32, Factors::tf32, Factors::bf16})
    for (CudaConvProblem p : found.convolutions) {
      p.factors = factors;
      if (factors == Factors::bf16 && p.kind == ConvKind::weight_grad) continue;  // stays f32
      measure(sm, p, candidates_of(p, sm), rounds, convolutions);
    }
  for (const CudaMatmulProblem& p : found.products) measure(sm, p, candidates_of(p), rounds, products);
  const std::string name = accelerator({DeviceType::cuda, 0}, "--tune").name(0);
  if (name == "SIMT emulator")
    fail(Errc::unsupported, "--tune", "times of the emulator say nothing of a device: the tables stay as they are");
  write_file(kernels + "/conv/conv_cuda_table.inc",
             conv_head + table(cuda_conv_table_begin(), cuda_conv_table_end(), sm, convolutions));
  write_file(kernels + "/matmul/matmul_cuda_table.inc",
             matmul_head + table(cuda_matmul_table_begin(), cuda_matmul_table_end(), sm, products));
}

void check_plans(const std::string& assets, int sm) {
  if (!cuda::dnn::plan) fail(Errc::unsupported, "--cudnn-plans", "this program was built without CUDA");
  if (const std::string reason = cuda::dnn::unavailable_reason(); !reason.empty()) fail(Errc::unsupported, "--cudnn-plans", reason);
  cuda::dnn::use_properties(cuda::dnn::properties_like(sm));
  std::set<CudaConvProblem> all;
  for (CudaConvProblem p : problems_of(assets, cases_to_plan).convolutions)
    for (ConvKind kind : {ConvKind::forward, ConvKind::input_grad, ConvKind::weight_grad}) {
      p.kind = kind;
      if (possible(CudaConvPath::cudnn, p, sm)) all.insert(p);
    }
  int missing = 0;
  for (Factors factors : {Factors::f32, Factors::tf32, Factors::bf16}) {
    std::size_t with_plan = 0, most_workspace = 0, engines = 0;
    for (CudaConvProblem p : all) {
      p.factors = factors;
      const cuda::dnn::Convolution c = describe(p);
      const std::vector<cuda::Algorithm> suggested = cuda::dnn::engines(c);
      engines += suggested.size();
      const auto plan = [&](const cuda::Algorithm& engine) { return cuda::dnn::plan(c, engine); };
      const auto first = std::find_if(suggested.begin(), suggested.end(), plan);
      if (first != suggested.end()) ++with_plan, most_workspace = std::max(most_workspace, plan(*first)->workspace());
      else if (factors != Factors::bf16) ++missing, std::printf("no plan: %s", row(sm, p, CudaConvPath::cudnn, "").c_str());
    }
    std::printf("sm_%d, cuDNN %lld, %s: %zu of %zu convolutions have a plan, %.1f engines each, workspace %.1f MiB at most\n", sm,
                static_cast<long long>(cuda::dnn::version()), to_string(factors), with_plan, all.size(),
                static_cast<double>(engines) / static_cast<double>(all.size()), static_cast<double>(most_workspace) / (1 << 20));
  }
  cuda::dnn::use_properties("");
  if (missing > 0) fail(Errc::internal, "--cudnn-plans", missing, " convolutions have no plan");
}

}  // namespace g2s::bench
