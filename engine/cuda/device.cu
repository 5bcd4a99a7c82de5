// Which device a context works on, and what is to be said where it cannot.
#include "engine/cuda/device.h"

#include "engine/context.h"
#include "engine/cuda/launch.cuh"
#include "engine/error.h"

namespace g2s::cuda {
namespace {

__global__ void probe() {}

std::string version_text(int version) { return str(version / 1000, ".", version % 1000 / 10); }

}  // namespace

DeviceFacts device_facts(int index) {
  cudaDeviceProp p;
  check(cudaGetDeviceProperties(&p, index), "cudaGetDeviceProperties");
  return {p.name, p.major * 10 + p.minor, p.totalGlobalMem};
}

std::string no_device_reason() {
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

std::string unusable_reason(int index) {
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

int current_device() {
  const Device device = Context::current().options().device;
  return device.type == DeviceType::cuda ? device.index : 0;
}

}  // namespace g2s::cuda
