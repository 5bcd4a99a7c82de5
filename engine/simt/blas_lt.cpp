// cuBLASLt as the emulator has it: descriptions are checked as strictly as the library would, and the CPU computes, from the pitches alone.
#include "engine/cuda/blas_lt.h"

#include <cstdlib>
#include <cstring>

#include "engine/cuda/launch.cuh"
#include "engine/error.h"

namespace g2s::cuda::blas {
namespace {

constexpr std::size_t workspace_of_second = 192;
constexpr std::int64_t workspace_alignment = 16;
constexpr std::int64_t most_batches = 65535;

void require(bool right, const char* what) {
  if (!right) fail(Errc::internal, "cuBLASLt", "invalid value: ", what);
}

void check_matrix(const Matrix& m) {
  require(m.rows > 0 && m.columns > 0, "a matrix of no elements");
  require(m.pitch >= m.rows, "a pitch below the rows");
  require(m.batch_stride == 0 || m.batch_stride >= m.pitch * (m.columns - 1) + m.rows, "products that overlap");
  require(m.alignment >= 4 && (m.alignment & (m.alignment - 1)) == 0, "an alignment");
}

std::int64_t rows(const Matrix& m, bool transposed) { return transposed ? m.columns : m.rows; }
std::int64_t columns(const Matrix& m, bool transposed) { return transposed ? m.rows : m.columns; }

void check_description(const MatmulDescription& p) {
  check_matrix(p.a);
  check_matrix(p.b);
  check_matrix(p.c);
  require(p.batch > 0 && p.batch <= most_batches, "the batch");
  require(p.batch == 1 || p.c.batch_stride > 0, "all products go to one place");
  require(rows(p.a, p.transpose_a) == p.c.rows && columns(p.b, p.transpose_b) == p.c.columns &&
              columns(p.a, p.transpose_a) == rows(p.b, p.transpose_b), "sizes that do not fit");
}

void compute(const MatmulDescription& p, const float* a, const float* b, float* c) {
  const auto element = [&](const float* data, const Matrix& m, bool transposed, std::int64_t i, std::int64_t j) {
    const float value = transposed ? data[j + i * m.pitch] : data[i + j * m.pitch];
    return static_cast<double>(p.tensor_cores ? simt::as_tf32(value) : value);
  };
  const std::int64_t depth = columns(p.a, p.transpose_a);
  for (std::int64_t batch = 0; batch < p.batch; ++batch)
    for (std::int64_t j = 0; j < p.c.columns; ++j) {
      float* column = c + batch * p.c.batch_stride + j * p.c.pitch;
      for (std::int64_t i = 0; i < p.c.rows; ++i) {
        double sum = 0;
        for (std::int64_t k = 0; k < depth; ++k)
          sum += element(a + batch * p.a.batch_stride, p.a, p.transpose_a, i, k) * element(b + batch * p.b.batch_stride, p.b, p.transpose_b, k, j);
        column[i] = static_cast<float>(sum);
      }
      simt::mark_written(column, static_cast<std::size_t>(p.c.rows) * sizeof(float));
    }
}

class EmulatedMatmul final : public PreparedMatmul {
 public:
  EmulatedMatmul(const MatmulDescription& p, std::size_t workspace) : p_(p), workspace_(workspace) {}
  std::size_t workspace() const override { return workspace_; }
  void run(const float* a, const float* b, float* c, void* workspace) const override {
    const auto aligned = [](const void* q, std::int64_t to) { return q && reinterpret_cast<std::uintptr_t>(q) % static_cast<std::uintptr_t>(to) == 0; };
    require(aligned(a, p_.a.alignment) && aligned(b, p_.b.alignment) && aligned(c, p_.c.alignment), "a pointer");
    require(workspace_ == 0 || aligned(workspace, workspace_alignment), "the workspace");
    note_launch({"cublaslt", 1, 1});
    simt::enqueue(stream(), [p = p_, a, b, c, workspace, bytes = workspace_] {
      if (bytes > 0) std::memset(workspace, 0xff, bytes);  // all of it is the product's
      compute(p, a, b, c);
    });
  }

 private:
  MatmulDescription p_;
  std::size_t workspace_;
};

}  // namespace

std::string unavailable_reason() {
  return std::getenv("G2S_SIMT_NO_VENDOR") ? "libcublasLt.so.13 cannot be loaded (the emulator was told so)" : "";
}

std::vector<Algorithm> algorithms(const MatmulDescription& p) {
  check_description(p);
  return {{1, {{2, 1}}}, {0, {}}};
}

std::unique_ptr<PreparedMatmul> prepare(const MatmulDescription& p, const Algorithm& algorithm) {
  check_description(p);
  if (algorithm.index < 0 || algorithm.index > 1) return nullptr;
  return std::make_unique<EmulatedMatmul>(p, algorithm.index == 1 ? workspace_of_second : 0);
}

}  // namespace g2s::cuda::blas
