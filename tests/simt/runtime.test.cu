// The emulated runtime: memory, streams, graphs, and what it refuses as a device would.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "engine/accelerator.h"
#include "engine/context.h"
#include "engine/cuda/launch.cuh"
#include "engine/cuda/launches.h"
#include "engine/error.h"
#include "engine/tensor.h"

using namespace g2s;
using cuda::each;
using cuda::launch;

namespace {

struct Stream {
  cudaStream_t s = nullptr;
  Stream() { cudaStreamCreate(&s); }
  ~Stream() { cudaStreamDestroy(s); }
};

// What `work` asks of a stream of its own, as a graph.
template <class F> cudaGraphExec_t capture(cudaStream_t s, F work) {
  REQUIRE(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal) == cudaSuccess);
  work();
  cudaGraph_t graph = nullptr;
  REQUIRE(cudaStreamEndCapture(s, &graph) == cudaSuccess);
  cudaGraphExec_t exec = nullptr;
  REQUIRE(cudaGraphInstantiate(&exec, graph) == cudaSuccess);
  CHECK(cudaGraphDestroy(graph) == cudaSuccess);
  return exec;
}

void twice(const float* x, float* y, std::int64_t count) {
  each("twice", count, [=] __device__(std::int64_t i) { y[i] = 2 * x[i]; });
}

}  // namespace

TEST_CASE("simt: a graph runs later, on what its inputs then hold") {
  std::vector<float> x(1000, 1), y(1000, 0);
  // The engine's launches go to its own stream.
  const cudaStream_t s = cuda::stream();
  cudaGraphExec_t exec = capture(s, [&] {
    twice(x.data(), y.data(), 1000);
    twice(y.data(), y.data(), 1000);
  });
  CHECK(y[0] == 0);
  CHECK(cudaGraphLaunch(exec, s) == cudaSuccess);
  CHECK(y == std::vector<float>(1000, 4));
  x.assign(1000, 3);
  CHECK(cudaGraphLaunch(exec, s) == cudaSuccess);
  CHECK(y == std::vector<float>(1000, 12));
  CHECK(cudaGraphExecDestroy(exec) == cudaSuccess);
}

TEST_CASE("simt: a graph keeps the arguments of its launches") {
  std::vector<int> out(1);
  const cudaStream_t s = cuda::stream();
  int value = 5;
  int* to = out.data();
  cudaGraphExec_t exec = capture(s, [&] { each("store", 1, [=] __device__(std::int64_t) { *to = value; }); });
  value = 6;
  cudaGraphLaunch(exec, s);
  CHECK(out[0] == 5);
  cudaGraphExecDestroy(exec);
}

TEST_CASE("simt: a graph that copies from pageable host memory gets NaNs, from pinned memory what is there") {
  Stream stream;
  std::vector<float> host(8, 1), device(8, 0);
  constexpr std::size_t bytes = 8 * sizeof(float);
  cudaGraphExec_t exec = capture(stream.s, [&] { cudaMemcpyAsync(device.data(), host.data(), bytes, cudaMemcpyHostToDevice, stream.s); });
  cudaGraphLaunch(exec, stream.s);
  for (float v : device) CHECK(std::isnan(v));
  cudaGraphExecDestroy(exec);

  void* pinned = nullptr;
  REQUIRE(cudaHostAlloc(&pinned, bytes, cudaHostAllocDefault) == cudaSuccess);
  exec = capture(stream.s, [&] { cudaMemcpyAsync(device.data(), pinned, bytes, cudaMemcpyHostToDevice, stream.s); });
  for (int i = 0; i < 8; ++i) static_cast<float*>(pinned)[i] = static_cast<float>(i);
  cudaGraphLaunch(exec, stream.s);
  for (int i = 0; i < 8; ++i) CHECK(device[i] == static_cast<float>(i));
  cudaGraphExecDestroy(exec);
  CHECK(cudaFreeHost(pinned) == cudaSuccess);
  CHECK(cudaFreeHost(device.data()) == cudaErrorInvalidValue);
}

TEST_CASE("simt: what a capture forbids") {
  Stream stream;
  CHECK(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal) == cudaErrorInvalidValue);
  REQUIRE(cudaStreamBeginCapture(stream.s, cudaStreamCaptureModeGlobal) == cudaSuccess);
  CHECK(cudaStreamBeginCapture(stream.s, cudaStreamCaptureModeGlobal) == cudaErrorInvalidValue);
  CHECK(cudaStreamSynchronize(stream.s) == cudaErrorStreamCaptureUnsupported);
  void* block = nullptr;
  CHECK(cudaMalloc(&block, 16) == cudaErrorStreamCaptureUnsupported);
  CHECK(cudaFree(nullptr) == cudaErrorStreamCaptureUnsupported);
  cudaGraph_t graph = nullptr;
  CHECK(cudaStreamEndCapture(stream.s, &graph) == cudaSuccess);
  CHECK(cudaStreamEndCapture(stream.s, &graph) == cudaErrorInvalidValue);
  CHECK(cudaMalloc(&block, 16) == cudaSuccess);
  CHECK(cudaFree(block) == cudaSuccess);
  cudaGraphDestroy(graph);
}

TEST_CASE("simt: memory and devices") {
  int count = 0;
  CHECK(cudaGetDeviceCount(&count) == cudaSuccess);
  CHECK(count == 1);
  CHECK(cudaSetDevice(1) == cudaErrorInvalidDevice);
  cudaDeviceProp properties;
  CHECK(cudaGetDeviceProperties(&properties, 1) == cudaErrorInvalidDevice);
  CHECK(cudaGetDeviceProperties(&properties, 0) == cudaSuccess);
  CHECK(std::string(properties.name) == "SIMT emulator");
  void* block = nullptr;
  CHECK(cudaMalloc(&block, std::size_t{1} << 50) == cudaErrorMemoryAllocation);
  CHECK_THROWS_WITH_AS(cuda::check(cudaErrorMemoryAllocation, "here"), "here: CUDA says: out of memory", Error);
  std::vector<unsigned char> a(10, 1), b(10);
  CHECK(cudaMemsetAsync(a.data(), 7, 10, nullptr) == cudaSuccess);
  CHECK(cudaMemcpyAsync(b.data(), a.data(), 10, cudaMemcpyDeviceToHost, nullptr) == cudaSuccess);
  CHECK(b == std::vector<unsigned char>(10, 7));
}

TEST_CASE("simt: launches and waits of the host are counted") {
  cuda::forget_launches();
  std::vector<float> x(5, 1), y(5);
  const std::int64_t before = host_syncs();
  for (int i = 0; i < 3; ++i) twice(x.data(), y.data(), 5);
  twice(x.data(), y.data(), 0);
  CHECK(cuda::launches() == std::map<std::string, std::int64_t>{{"twice", 3}});
  CHECK(host_syncs() == before);
  const Tensor t = Tensor::zeros({4}, DType::f32, Device{DeviceType::cuda, 0});
  CHECK(host_syncs() == before);
  t.to(Device{});
  CHECK(host_syncs() == before + 1);
}

TEST_CASE("simt: a context works on the stream that its caller gives, and leaves it alive") {
  const Device device{DeviceType::cuda, 0};
  Stream of_caller;
  {
    Context context({.device = device, .stream = of_caller.s});
    const UseContext in(context);
    CHECK(cuda::stream() == of_caller.s);
    std::vector<float> x(100, 1), y(100);
    // What the context asks for is part of the caller's graph.
    cudaGraphExec_t exec = capture(of_caller.s, [&] { twice(x.data(), y.data(), 100); });
    CHECK(y[0] == 0);
    CHECK(cudaGraphLaunch(exec, of_caller.s) == cudaSuccess);
    CHECK(y[0] == 2);
    CHECK(cudaGraphExecDestroy(exec) == cudaSuccess);
  }
  CHECK(cuda::stream() != of_caller.s);
  CHECK(cudaStreamSynchronize(of_caller.s) == cudaSuccess);
}
