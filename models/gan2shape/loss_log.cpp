#include "models/gan2shape/loss_log.h"

#include <cstring>

#include "engine/accelerator.h"
#include "engine/autograd.h"
#include "kernels/shape/shape.h"

namespace g2s {
namespace {

constexpr int put_off = 16;            // iterations
constexpr std::size_t most_values = 32;  // of an iteration
constexpr std::size_t row_bytes = most_values * sizeof(float);

}  // namespace

LossLog::LossLog(Device device) : device_(device) {
  const std::size_t bytes = row_bytes * static_cast<std::size_t>(capacity());
  if (device.type == DeviceType::cpu) rows_ = std::shared_ptr<char[]>(new char[bytes]);
  else rows_ = accelerator(device, "losses").pinned(bytes);
}

int LossLog::capacity() const { return device_.type == DeviceType::cpu ? 1 : put_off; }
float* LossLog::row(std::size_t i) const { return static_cast<float*>(rows_.get()) + i * most_values; }

void LossLog::set(const NamedTensors& losses) {
  NoGrad no_grad;
  names_.clear();
  std::vector<Tensor> values;
  for (const auto& [name, value] : losses) {
    if (!value) continue;
    names_.push_back(name);
    values.push_back(value.reshape({1}));
  }
  check(values.size() <= most_values, "losses", values.size(), " values of an iteration");
  values_ = concat(values, 0);
}

void LossLog::record(int iteration) {
  if (!values_) return;
  check(!full(), "losses", "iteration ", iteration, " is logged before the ones before it were taken");
  float* to = row(iterations_.size());
  const float* from = values_.ptr<float>();
  if (device_.type == DeviceType::cpu) std::memcpy(to, from, values_.bytes());
  else accelerator(device_, "losses").copy(to, from, values_.bytes(), CopyKind::device_to_host_later);
  iterations_.push_back(iteration);
}

std::vector<std::pair<int, NamedLosses>> LossLog::drain() {
  std::vector<std::pair<int, NamedLosses>> out;
  if (iterations_.empty()) return out;
  if (device_.type != DeviceType::cpu) accelerator(device_, "losses").synchronize();
  for (std::size_t i = 0; i < iterations_.size(); ++i) {
    NamedLosses losses;
    for (std::size_t k = 0; k < names_.size(); ++k) losses.emplace_back(names_[k], row(i)[k]);
    out.emplace_back(iterations_[i], losses);
  }
  iterations_.clear();
  return out;
}

void LossLog::clear() {
  names_.clear();
  values_ = {};
  iterations_.clear();
}

}  // namespace g2s
