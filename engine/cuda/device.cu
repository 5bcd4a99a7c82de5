// Which device this process works on, and what is to be said where it cannot.
#include "engine/cuda/device.h"

#include <atomic>

#include "engine/cuda/launch.cuh"
#include "engine/error.h"

namespace g2s::cuda {
namespace {

constexpr int none = -1;
std::atomic<int> chosen{none};

__global__ void probe() {}

std::string version_text(int version) { return str(version / 1000, ".", version % 1000 / 10); }

}  // namespace

DeviceFacts device_facts(int index) {
  cudaDeviceProp p;
  check(cudaGetDeviceProperties(&p, index), "cudaGetDeviceProperties");
  return {p.name, p.major * 10 + p.minor, p.totalGlobalMem};
}

std::string absence_of_devices() {
  int count = 0;
  const cudaError_t result = cudaGetDeviceCount(&count);
  if (result == cudaSuccess) return count > 0 ? "" : "no device was found";
  cudaGetLastError();
  int driver = 0, wanted = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&wanted);
  if (driver == 0) return "there is no CUDA driver";
  if (driver < wanted) return str("the driver knows CUDA up to ", version_text(driver), ", this program needs ", version_text(wanted));
  return cudaGetErrorString(result);
}

std::string reason_against(int index) {
  int before = 0;
  cudaError_t result = cudaGetDevice(&before);
  if (result == cudaSuccess) result = cudaSetDevice(index);
  cudaFuncAttributes attributes;
  if (result == cudaSuccess) result = cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(probe));
  cudaGetLastError();
  cudaSetDevice(before);
  if (result == cudaSuccess) return {};
  const DeviceFacts facts = device_facts(index);
  return str(facts.name, " (sm_", facts.capability, ") does not run the kernels of this program: ", cudaGetErrorString(result));
}

void choose_device(int index, const char* option) {
  int other = chosen.load();
  if (other == index) return;
  if (other != none) fail(Errc::unsupported, option, "this process works on cuda:", other, " already, so not on cuda:", index);
  if (const std::string reason = reason_against(index); !reason.empty()) fail(Errc::unsupported, option, "cuda:", index, ": ", reason);
  if (!chosen.compare_exchange_strong(other, index) && other != index)
    fail(Errc::unsupported, option, "this process works on cuda:", other, " already, so not on cuda:", index);
}

int chosen_device() {
  const int index = chosen.load(std::memory_order_relaxed);
  return index == none ? 0 : index;
}

void enter_device() {
  static thread_local bool inside = false;
  if (inside) return;
  int first = none;
  chosen.compare_exchange_strong(first, 0);
  check(cudaSetDevice(chosen_device()), "cudaSetDevice");
  inside = true;
}

}  // namespace g2s::cuda
