#include "engine/simt/machine.h"

#include <atomic>
#include <cstdlib>
#include <sstream>

#include "engine/error.h"

namespace g2s::simt {
namespace {

constexpr const char* variable = "G2S_SIMT_MACHINE";
std::atomic<bool> failed{false};

void set(Machine& m, const std::string& name, const std::string& value) {
  const auto number = [&] { return std::strtoull(value.c_str(), nullptr, 10); };
  if (name == "driver") m.driver = static_cast<int>(number());
  else if (name == "devices") m.devices = static_cast<int>(number());
  else if (name == "capability") m.capability = static_cast<int>(number());
  else if (name == "memory") m.memory = number();
  else if (name == "kernels") m.kernels = number() != 0;
  else if (name == "failing") m.failing = value;
  else fail(Errc::invalid_argument, variable, "'", name, "' is none of driver, devices, capability, memory, kernels, failing");
}

Machine read() {
  Machine m;
  const char* text = std::getenv(variable);
  std::istringstream settings(text ? text : "");
  for (std::string setting; std::getline(settings, setting, ',');) {
    const std::size_t split = setting.find('=');
    if (split == std::string::npos) fail(Errc::invalid_argument, variable, "'", setting, "' is not NAME=VALUE");
    set(m, setting.substr(0, split), setting.substr(split + 1));
  }
  return m;
}

}  // namespace

const Machine& machine() {
  static const Machine m = read();
  return m;
}

bool fails(const char* launch) {
  if (machine().failing == launch) failed = true;
  return failed;
}

bool has_failed() { return failed; }

bool launches_block() {
  static const bool block = [] {
    const char* requested = std::getenv("CUDA_LAUNCH_BLOCKING");
    return requested && std::string(requested) == "1";
  }();
  return block;
}

}  // namespace g2s::simt
