// The values of an iteration's losses on their way from a device.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/export.h"
#include "engine/safetensors.h"

namespace g2s G2S_EXPORTED {

using NamedLosses = std::vector<std::pair<std::string, double>>;

// Reading a value back makes the host wait for the device, so it is put off: iterations copy theirs into memory of the host, and are looked at
// together. On the CPU there is nothing to wait for.
class LossLog {
 public:
  explicit LossLog(Device device);
  // As part of an iteration's work: what its losses are, f32 scalars. Undefined ones are left out.
  void set(const NamedTensors& losses);
  // After iteration number `iteration`. No more than capacity() until they are taken.
  void record(int iteration);
  bool full() const { return static_cast<int>(iterations_.size()) >= capacity(); }
  int capacity() const;
  // What was pushed since the last call, by iteration.
  std::vector<std::pair<int, NamedLosses>> drain();
  void clear();

 private:
  float* row(std::size_t i) const;

  Device device_;
  std::vector<std::string> names_;
  Tensor values_;
  std::vector<int> iterations_;
  std::shared_ptr<void> rows_;  // of the values, one for each iteration
};

}  // namespace g2s
