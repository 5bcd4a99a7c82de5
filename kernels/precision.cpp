#include "kernels/precision.h"

#include "engine/cuda/device.h"
#include "engine/error.h"
#include "kernels/isa.h"

namespace g2s {
namespace {

void require_on_cpu(Precision wanted) {
  if (wanted == Precision::tf32) fail(Errc::unsupported, "--precision", "tf32 is for CUDA devices; the CPU has f32 and bf16");
  if (wanted == Precision::bf16 && kernels::bf16_unit() == kernels::Bf16Unit::none)
    fail(Errc::unsupported, "--precision", "this processor has neither AVX512-BF16 nor AMX, which bf16 needs");
}

void require_on_cuda(Precision wanted, Device device) {
  if (wanted == Precision::f32) return;
  const cuda::DeviceFacts facts = cuda::device_facts(device.index);
  if (facts.capability >= cuda::tensor_core_capability) return;
  const auto dotted = [](int capability) { return str(capability / 10, ".", capability % 10); };
  fail(Errc::unsupported, "--precision", to_string(wanted), " needs tensor cores of compute capability ", dotted(cuda::tensor_core_capability),
       ", but ", device, " (", facts.name, ") has ", dotted(facts.capability));
}

}  // namespace

Precision precision_for(const std::string& name, Device device) {
  const Precision wanted = precision_from_name(name);
  device.type == DeviceType::cpu ? require_on_cpu(wanted) : require_on_cuda(wanted, device);
  return wanted;
}

}  // namespace g2s
