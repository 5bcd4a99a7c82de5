#include "engine/accelerator.h"

#include <charconv>

#include "engine/context.h"
#include "engine/cuda/backend.h"
#include "engine/cuda/device.h"
#include "engine/error.h"

namespace g2s {

Accelerator& accelerator(Device device, const char* op) {
  if (device.type != DeviceType::cuda) fail(Errc::internal, op, device, " is no accelerator");
  if (!cuda_accelerator) fail(Errc::unsupported, op, "this program was built without CUDA, so there is no ", device);
  Accelerator& a = *cuda_accelerator();
  const int count = a.count();
  if (count == 0) fail(Errc::unsupported, op, "there is no ", device, ": ", a.unavailable_reason());
  if (device.index < 0 || device.index >= count) fail(Errc::unsupported, op, "there is no ", device, ", the machine has ", count, " CUDA device(s)");
  return a;
}

std::int64_t host_syncs() { return Context::current().counts().host_syncs; }
void count_host_sync() { ++Context::current().counts().host_syncs; }
std::int64_t graph_launches() { return Context::current().counts().graph_launches; }
void count_graph_launch() { ++Context::current().counts().graph_launches; }

namespace {

// cuda or cuda:N
Device cuda_named(const std::string& text, const char* setting) {
  Device device{DeviceType::cuda, 0};
  bool right = text.rfind("cuda", 0) == 0;
  if (right && text.size() > 4) {
    const auto [end, error] = std::from_chars(text.data() + 5, text.data() + text.size(), device.index);
    right = text[4] == ':' && text.size() > 5 && error == std::errc() && end == text.data() + text.size();
  }
  if (!right) fail(Errc::invalid_argument, setting, "'", text, "' is none of auto, cpu, cuda, cuda:N");
  return device;
}

bool first_device_works() { return cuda_accelerator && cuda_accelerator()->count() > 0 && cuda::unusable_reason(0).empty(); }

}  // namespace

Device device_from(const std::string& text, const char* setting) {
  if (text == "cpu" || (text == "auto" && !first_device_works())) return {};
  const Device device = text == "auto" ? Device{DeviceType::cuda, 0} : cuda_named(text, setting);
  accelerator(device, setting);
  if (const std::string reason = cuda::unusable_reason(device.index); !reason.empty())
    fail(Errc::unsupported, setting, device, ": ", reason);
  return device;
}

}  // namespace g2s
