// A device that is as late as it may be: nothing happens before the host waits.
#include <doctest/doctest.h>

#include <vector>

#include "engine/accelerator.h"
#include "engine/cuda/launch.cuh"
#include "engine/tensor.h"
#include "kernels/elementwise/elementwise.h"

using namespace g2s;

namespace {

constexpr Device device{DeviceType::cuda, 0};

struct Late {
  Late() { simt::set_late(true); }
  ~Late() {
    cudaStreamSynchronize(cuda::stream());
    simt::set_late(false);
  }
};

}  // namespace

TEST_CASE("late: work waits for the host, and finds what pinned memory holds by then") {
  const Late late;
  Accelerator& cuda = accelerator(device, "test");
  const auto memory = cuda.pinned(4 * sizeof(float));
  auto* host = static_cast<float*>(memory.get());
  Tensor x = Tensor::zeros({4}, DType::f32, device);
  host[0] = 1;
  REQUIRE(cudaMemcpyAsync(x.mutable_raw(), host, 4 * sizeof(float), cudaMemcpyHostToDevice, cuda::stream()) == cudaSuccess);
  cudaEvent_t done = nullptr;
  REQUIRE(cudaEventCreateWithFlags(&done, cudaEventDisableTiming) == cudaSuccess);
  CHECK(cudaEventRecord(done, cuda::stream()) == cudaSuccess);
  CHECK(cudaEventQuery(done) == cudaErrorNotReady);
  host[0] = 2;  // too early
  CHECK(cudaEventSynchronize(done) == cudaSuccess);
  CHECK(cudaEventQuery(done) == cudaSuccess);
  CHECK(cudaEventDestroy(done) == cudaSuccess);
  CHECK(x.to_vector<float>()[0] == 2);

  const Tensor y = x + 1;
  cuda.copy(host, y.raw(), 4 * sizeof(float), CopyKind::device_to_host_later);
  CHECK(host[0] == 2);
  cuda.synchronize();
  CHECK(host[0] == 3);
}

TEST_CASE("late: copies from the host keep their bytes, however many are under way") {
  const Late late;
  std::vector<Tensor> hosts, copies;
  const auto waits = host_syncs();
  // Large ones of several banks, and many small ones.
  for (int i = 0; i < 60; ++i) {
    hosts.push_back(Tensor::full({i % 6 == 0 ? 1500000 : 1000 + i}, i, DType::f32, Device{}));
    copies.push_back(hosts.back().to(device));
  }
  CHECK(host_syncs() > waits);  // more than there is pinned memory for
  for (std::size_t i = 0; i < hosts.size(); ++i) CHECK(copies[i].to_vector<float>() == hosts[i].to_vector<float>());
  const auto before = host_syncs();
  for (int i = 0; i < 100; ++i) copies[1].to(Device{});
  CHECK(host_syncs() == before + 100);
}

TEST_CASE("late: the relaxed mode allows memory while a stream is captured") {
  cudaStream_t s = nullptr;
  REQUIRE(cudaStreamCreate(&s) == cudaSuccess);
  REQUIRE(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  void* block = nullptr;
  CHECK(cudaMalloc(&block, 16) == cudaErrorStreamCaptureUnsupported);
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  CHECK(cudaThreadExchangeStreamCaptureMode(&mode) == cudaSuccess);
  CHECK(mode == cudaStreamCaptureModeGlobal);
  CHECK(cudaMalloc(&block, 16) == cudaSuccess);
  CHECK(cudaFree(block) == cudaSuccess);
  CHECK(cudaThreadExchangeStreamCaptureMode(&mode) == cudaSuccess);
  CHECK(cudaMalloc(&block, 16) == cudaErrorStreamCaptureUnsupported);
  cudaGraph_t graph = nullptr;
  CHECK(cudaStreamEndCapture(s, &graph) == cudaSuccess);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(s);
}
