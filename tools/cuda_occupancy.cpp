// Reads "architecture registers static_shared threads dynamic_shared" a line, writes how many such blocks a multiprocessor of an A100 (80)
// or an H100 (90) holds. For tools/cuda_report.py.
#include <cuda_occupancy.h>

#include <cstdio>

namespace {

// As cudaGetDeviceProperties tells on these devices.
cudaOccDeviceProp properties(int architecture) {
  constexpr std::size_t kilobyte = 1024;
  cudaOccDeviceProp p;
  p.computeMajor = architecture / 10;
  p.computeMinor = architecture % 10;
  p.maxThreadsPerBlock = 1024;
  p.maxThreadsPerMultiprocessor = 2048;
  p.regsPerBlock = p.regsPerMultiprocessor = 65536;
  p.warpSize = 32;
  p.sharedMemPerBlock = 48 * kilobyte;
  p.reservedSharedMemPerBlock = kilobyte;
  p.sharedMemPerMultiprocessor = (architecture == 80 ? 164 : 228) * kilobyte;
  p.sharedMemPerBlockOptin = p.sharedMemPerMultiprocessor - kilobyte;
  p.numSms = architecture == 80 ? 108 : 132;
  return p;
}

}  // namespace

int main() {
  int architecture, registers, threads;
  std::size_t fixed, dynamic;
  while (std::scanf("%d %d %zu %d %zu", &architecture, &registers, &fixed, &threads, &dynamic) == 5) {
    const cudaOccDeviceProp device = properties(architecture);
    cudaOccFuncAttributes kernel;
    kernel.maxThreadsPerBlock = device.maxThreadsPerBlock;
    kernel.numRegs = registers;
    kernel.sharedSizeBytes = fixed;
    kernel.partitionedGCConfig = PARTITIONED_GC_OFF;
    kernel.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
    kernel.maxDynamicSharedSizeBytes = device.sharedMemPerBlockOptin - fixed;
    kernel.numBlockBarriers = 1;
    const cudaOccDeviceState state;
    cudaOccResult result;
    const bool known = cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &kernel, &state, threads, dynamic) == CUDA_OCC_SUCCESS;
    std::printf("%d\n", known ? result.activeBlocksPerMultiprocessor : -1);
  }
}
