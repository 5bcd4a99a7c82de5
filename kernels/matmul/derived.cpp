#include "kernels/matmul/derived.h"

#include <mutex>

#include "engine/replay.h"

namespace g2s::kernels {
namespace {

std::mutex mutex;

const Tensor* find(const Storage& storage, const std::string& key) {
  for (const auto& [name, value] : storage.derived)
    if (name == key) return std::any_cast<Tensor>(&value);
  return nullptr;
}

}  // namespace

Tensor derived(const Tensor& source, const std::string& key, const std::function<Tensor()>& make) {
  if (!source.is_constant()) return make();
  Storage& storage = *source.storage();
  std::string full = key;
  full += '@' + std::to_string(static_cast<const char*>(source.raw()) - static_cast<const char*>(storage.data()));
  for (std::int64_t d : source.shape()) full += ',' + std::to_string(d);
  {
    std::lock_guard lock(mutex);
    if (const Tensor* known = find(storage, full)) return *known;
  }
  if (Replay::capturing()) return make();  // it is not there yet
  const KeptMemory kept;
  Tensor made = make();  // outside the lock: it runs in parallel and may allocate
  KeptMemory::publish(made.device());
  std::lock_guard lock(mutex);
  if (const Tensor* known = find(storage, full)) return *known;
  storage.derived.emplace_back(full, made);
  return made;
}

}  // namespace g2s::kernels
