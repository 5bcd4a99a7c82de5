#include "kernels/matmul/constant_cache.h"

#include <mutex>

#include "engine/captured_graph.h"

namespace g2s::kernels {
namespace {

std::mutex mutex;

const Tensor* find(const Storage& storage, const std::string& key) {
  for (const auto& [name, value] : storage.constant_cache)
    if (name == key) return std::any_cast<Tensor>(&value);
  return nullptr;
}

}  // namespace

Tensor cached_from_constant(const Tensor& source, const std::string& key, const std::function<Tensor()>& make) {
  if (!source.is_constant()) return make();
  Storage& storage = *source.storage();
  std::string full = key;
  full += '@' + std::to_string(static_cast<const char*>(source.raw()) - static_cast<const char*>(storage.data()));
  for (std::int64_t d : source.shape()) full += ',' + std::to_string(d);
  {
    std::lock_guard lock(mutex);
    if (const Tensor* known = find(storage, full)) return *known;
  }
  if (CapturedGraph::capturing()) return make();  // it is not there yet
  const PersistentMemory persistent;
  Tensor made = make();  // outside the lock: it runs in parallel and may allocate
  PersistentMemory::publish(made.device());
  std::lock_guard lock(mutex);
  if (const Tensor* known = find(storage, full)) return *known;
  storage.constant_cache.emplace_back(full, made);
  return made;
}

}  // namespace g2s::kernels
