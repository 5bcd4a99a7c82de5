// cuBLASLt: descriptions of a product, an algorithm for it, and a prepared product that keeps both.
#if !defined(G2S_EMULATE)
#include "engine/cuda/blas_lt.h"

#include <cublasLt.h>

#include <algorithm>

#include "engine/context.h"
#include "engine/cuda/launch.cuh"
#include "engine/cuda/library.h"
#include "engine/error.h"

namespace g2s::cuda::blas {
namespace {

struct Api {
  Library library{"cuBLASLt", {"libcublasLt.so.13", "libcublasLt.so.12"}};
  G2S_FUNCTION(status_string, cublasLtGetStatusString)
  G2S_FUNCTION(create, cublasLtCreate)
  G2S_FUNCTION(destroy, cublasLtDestroy)
  G2S_FUNCTION(create_product, cublasLtMatmulDescCreate)
  G2S_FUNCTION(destroy_product, cublasLtMatmulDescDestroy)
  G2S_FUNCTION(set_product, cublasLtMatmulDescSetAttribute)
  G2S_FUNCTION(create_matrix, cublasLtMatrixLayoutCreate)
  G2S_FUNCTION(destroy_matrix, cublasLtMatrixLayoutDestroy)
  G2S_FUNCTION(set_matrix, cublasLtMatrixLayoutSetAttribute)
  G2S_FUNCTION(create_preference, cublasLtMatmulPreferenceCreate)
  G2S_FUNCTION(destroy_preference, cublasLtMatmulPreferenceDestroy)
  G2S_FUNCTION(set_preference, cublasLtMatmulPreferenceSetAttribute)
  G2S_FUNCTION(heuristics, cublasLtMatmulAlgoGetHeuristic)
  G2S_FUNCTION(init, cublasLtMatmulAlgoInit)
  G2S_FUNCTION(check_algorithm, cublasLtMatmulAlgoCheck)
  G2S_FUNCTION(set_config, cublasLtMatmulAlgoConfigSetAttribute)
  G2S_FUNCTION(get_config, cublasLtMatmulAlgoConfigGetAttribute)
  G2S_FUNCTION(get_capability, cublasLtMatmulAlgoCapGetAttribute)
  G2S_FUNCTION(multiply, cublasLtMatmul)
};

const Api& api() { return required<Api>(); }

void check(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS) fail(Errc::internal, "cuBLASLt", call, " says ", api().status_string(status));
}

// Owns what `create` has made.
template <class Raw>
class Owned {
 public:
  template <class Create, class... A>
  Owned(const char* call, cublasStatus_t (*destroy)(Raw), Create create, A... arguments) : destroy_(destroy) { check(create(&raw_, arguments...), call); }
  ~Owned() {
    if (raw_) destroy_(raw_);
  }
  Owned(Owned&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)), destroy_(other.destroy_) {}
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  Raw raw() const { return raw_; }

 private:
  Raw raw_ = nullptr;
  cublasStatus_t (*destroy_)(Raw);
};

// One for each thread of a context.
cublasLtHandle_t handle() {
  struct Owner {
    Owned<cublasLtHandle_t> handle{"cublasLtCreate", api().destroy, api().create};
  };
  return thread_object<Owner>().handle.raw();
}

cublasComputeType_t compute_type(const MatmulDescription& p) { return p.tensor_cores ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F; }

constexpr int most_algorithms = 16;

// No vector: nvcc 13.0 breaks off at vectors of structures without a name of their own.
struct Suggestions {
  cublasLtMatmulHeuristicResult_t results[most_algorithms];
  int count = 0;
};

class Matrices {
 public:
  explicit Matrices(const MatmulDescription& p)
      : product_("cublasLtMatmulDescCreate", api().destroy_product, api().create_product, compute_type(p), CUDA_R_32F),
        a_(matrix(p.a, p.batch)),
        b_(matrix(p.b, p.batch)),
        c_(matrix(p.c, p.batch)) {
    set_transposed(CUBLASLT_MATMUL_DESC_TRANSA, p.transpose_a);
    set_transposed(CUBLASLT_MATMUL_DESC_TRANSB, p.transpose_b);
  }

  Suggestions suggested(const MatmulDescription& p) const {
    Owned<cublasLtMatmulPreference_t> preference("cublasLtMatmulPreferenceCreate", api().destroy_preference, api().create_preference);
    const auto set = [&](cublasLtMatmulPreferenceAttributes_t name, auto value) {
      check(api().set_preference(preference.raw(), name, &value, sizeof value), "cublasLtMatmulPreferenceSetAttribute");
    };
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, most_workspace);
    set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, static_cast<std::uint32_t>(p.a.alignment));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, static_cast<std::uint32_t>(p.b.alignment));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, static_cast<std::uint32_t>(p.c.alignment));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, static_cast<std::uint32_t>(p.c.alignment));
    Suggestions all{};
    const cublasStatus_t status = api().heuristics(handle(), product_.raw(), a_.raw(), b_.raw(), c_.raw(), c_.raw(), preference.raw(),
                                                   most_algorithms, all.results, &all.count);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED) all.count = 0;
    else check(status, "cublasLtMatmulAlgoGetHeuristic");
    return all;
  }

  // Whether it can be taken; and then what it needs.
  bool takes(const cublasLtMatmulAlgo_t& algorithm, cublasLtMatmulHeuristicResult_t& result) const {
    return api().check_algorithm(handle(), product_.raw(), a_.raw(), b_.raw(), c_.raw(), c_.raw(), &algorithm, &result) == CUBLAS_STATUS_SUCCESS;
  }

  void multiply(const cublasLtMatmulAlgo_t& algorithm, const float* a, const float* b, float* c, void* workspace, std::size_t bytes) const {
    const float one = 1, zero = 0;
    note_launch({"cublaslt", 1, 1});
    check(api().multiply(handle(), product_.raw(), &one, a, a_.raw(), b, b_.raw(), &zero, c, c_.raw(), c, c_.raw(), &algorithm, workspace, bytes,
                         stream()),
          "cublasLtMatmul");
  }

 private:
  static constexpr std::uint64_t most_workspace = std::uint64_t{32} << 20;

  static Owned<cublasLtMatrixLayout_t> matrix(const Matrix& m, std::int64_t batch) {
    Owned<cublasLtMatrixLayout_t> layout("cublasLtMatrixLayoutCreate", api().destroy_matrix, api().create_matrix, CUDA_R_32F,
                                         static_cast<std::uint64_t>(m.rows), static_cast<std::uint64_t>(m.columns), m.pitch);
    const auto count = static_cast<std::int32_t>(batch);
    check(api().set_matrix(layout.raw(), CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count), "cublasLtMatrixLayoutSetAttribute");
    check(api().set_matrix(layout.raw(), CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &m.batch_stride, sizeof m.batch_stride),
          "cublasLtMatrixLayoutSetAttribute");
    return layout;
  }
  void set_transposed(cublasLtMatmulDescAttributes_t name, bool transposed) {
    const cublasOperation_t operation = transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    check(api().set_product(product_.raw(), name, &operation, sizeof operation), "cublasLtMatmulDescSetAttribute");
  }

  Owned<cublasLtMatmulDesc_t> product_;
  Owned<cublasLtMatrixLayout_t> a_, b_, c_;
};

constexpr cublasLtMatmulAlgoConfigAttributes_t knobs[] = {
    CUBLASLT_ALGO_CONFIG_TILE_ID,       CUBLASLT_ALGO_CONFIG_SPLITK_NUM, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING,
    CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, CUBLASLT_ALGO_CONFIG_STAGES_ID,  CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID,   CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID};

std::size_t size_of(cublasLtMatmulAlgoConfigAttributes_t knob) {
  return knob == CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID || knob == CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID ? 2 : 4;
}

// Parts of k are added in order and in f32 (so always alike), and factors are rounded only where they may be.
bool acceptable(const cublasLtMatmulAlgo_t& algorithm, bool tensor_cores) {
  std::uint32_t reduction = 0;
  std::uint64_t flags = 0;
  std::size_t written = 0;
  check(api().get_config(&algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &reduction, sizeof reduction, &written), "cublasLtMatmulAlgoConfigGetAttribute");
  check(api().get_capability(&algorithm, CUBLASLT_ALGO_CAP_NUMERICAL_IMPL_FLAGS, &flags, sizeof flags, &written), "cublasLtMatmulAlgoCapGetAttribute");
  const bool ordered = reduction == CUBLASLT_REDUCTION_SCHEME_NONE || reduction == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  constexpr std::uint64_t coarse = CUBLASLT_NUMERICAL_IMPL_FLAGS_ACCUMULATOR_16F | CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16F |
                                   CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_16BF | CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_8F_E4M3 |
                                   CUBLASLT_NUMERICAL_IMPL_FLAGS_INPUT_8F_E5M2;
  return ordered && !(flags & coarse) && (tensor_cores || !(flags & CUBLASLT_NUMERICAL_IMPL_FLAGS_TENSOR_OP_MASK));
}

class LtMatmul final : public PreparedMatmul {
 public:
  LtMatmul(Matrices matrices, const cublasLtMatmulAlgo_t& algorithm, std::size_t workspace)
      : matrices_(std::move(matrices)), algorithm_(algorithm), workspace_(workspace) {}
  std::size_t workspace() const override { return workspace_; }
  void run(const float* a, const float* b, float* c, void* workspace) const override {
    matrices_.multiply(algorithm_, a, b, c, workspace, workspace_);
  }

 private:
  Matrices matrices_;
  cublasLtMatmulAlgo_t algorithm_;
  std::size_t workspace_;
};

}  // namespace

std::string unavailable_reason() { return loaded<Api>().library.unavailable_reason(); }

std::vector<Algorithm> algorithms(const MatmulDescription& p) {
  std::vector<Algorithm> found;
  const Suggestions all = Matrices(p).suggested(p);
  for (int i = 0; i < all.count; ++i) {
    const cublasLtMatmulHeuristicResult_t& result = all.results[i];
    if (result.state != CUBLAS_STATUS_SUCCESS || !acceptable(result.algo, p.tensor_cores)) continue;
    std::int32_t id = 0;
    std::size_t written = 0;
    check(api().get_config(&result.algo, CUBLASLT_ALGO_CONFIG_ID, &id, sizeof id, &written), "cublasLtMatmulAlgoConfigGetAttribute");
    Algorithm algorithm{id, {}};
    for (cublasLtMatmulAlgoConfigAttributes_t knob : knobs) {
      std::uint32_t value = 0;
      if (api().get_config(&result.algo, knob, &value, size_of(knob), &written) == CUBLAS_STATUS_SUCCESS) algorithm.knobs.push_back({static_cast<std::int64_t>(knob), static_cast<std::int64_t>(value)});
    }
    found.push_back(std::move(algorithm));
  }
  return found;
}

std::unique_ptr<PreparedMatmul> prepare(const MatmulDescription& p, const Algorithm& wanted) {
  cublasLtMatmulAlgo_t algorithm{};
  if (api().init(handle(), compute_type(p), CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, static_cast<int>(wanted.index), &algorithm) !=
      CUBLAS_STATUS_SUCCESS)
    return nullptr;
  for (const auto& [number, value] : wanted.knobs) {
    const auto knob = static_cast<cublasLtMatmulAlgoConfigAttributes_t>(number);
    const auto set = static_cast<std::uint32_t>(value);
    if (api().set_config(&algorithm, knob, &set, size_of(knob)) != CUBLAS_STATUS_SUCCESS) return nullptr;
  }
  Matrices matrices(p);
  cublasLtMatmulHeuristicResult_t result{};
  if (!acceptable(algorithm, p.tensor_cores) || !matrices.takes(algorithm, result)) return nullptr;
  return std::make_unique<LtMatmul>(std::move(matrices), algorithm, result.workspaceSize);
}

}  // namespace g2s::cuda::blas
#endif
