#include "bench/dnn_properties.h"

#include <cstdint>
#include <nlohmann/json.hpp>

#include "engine/error.h"

namespace g2s::cuda::dnn {
namespace {

struct Device {
  int sm;
  const char* name;
  int processors;
  std::int64_t memory, l2, shared;  // bytes; shared: of one block at most
  int clock, memory_clock;          // kHz
};
constexpr Device devices[] = {{80, "NVIDIA A100-SXM4-80GB", 108, 85'000'000'000, 40 << 20, 163 << 10, 1'410'000, 1'593'000},
                              {90, "NVIDIA H100 80GB HBM3", 132, 85'000'000'000, 50 << 20, 227 << 10, 1'980'000, 2'619'000}};
constexpr int driver = 13000;

}  // namespace

std::string properties_like(int sm) {
  for (const Device& d : devices) {
    if (d.sm != sm) continue;
    const nlohmann::json properties = {{"deviceName", d.name},
                                       {"cudaDeviceId", 0},
                                       {"deviceVer", 10 * sm},
                                       {"driverVer", driver},
                                       {"multiProcessorCount", d.processors},
                                       {"totalGlobalMem", d.memory},
                                       {"l2CacheSize", d.l2},
                                       {"smClockRateKHz", d.clock},
                                       {"memClockRateKHz", d.memory_clock},
                                       {"maxSharedMemoryPerBlock", 48 << 10},
                                       {"maxSharedMemoryPerBlockOptin", d.shared},
                                       {"reservedSharedMemoryPerBlock", 1 << 10},
                                       {"regsPerBlock", 1 << 16},
                                       {"maxRegistersPerSM", 1 << 16},
                                       {"maxCtasPerSM", 32},
                                       {"maxThreadsPerBlock", 1024},
                                       {"maxThreadsPerSM", 2048},
                                       {"maxBlockSize", {1024, 1024, 64}},
                                       {"maxGridSize", {2147483647, 65535, 65535}},
                                       {"warpSize", 32},
                                       {"pciDeviceId", 0},
                                       {"isTccDriver", 0},
                                       {"supportCoopLaunch", 1}};
    return properties.dump();
  }
  fail(Errc::invalid_argument, "cuDNN", "nobody has described a device of sm_", sm);
}

}  // namespace g2s::cuda::dnn
