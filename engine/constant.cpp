#include "engine/constant.h"

#include <map>
#include <mutex>
#include <tuple>

#include "engine/context.h"
#include "engine/captured_graph.h"

namespace g2s {

namespace {

struct Constants {
  std::mutex mutex;
  std::map<std::tuple<DeviceType, int, DType, std::vector<std::int64_t>, std::vector<double>>, Tensor> known;
};

}  // namespace

Tensor constant(const std::vector<double>& values, const Shape& shape, DType dtype) {
  Constants& constants = Context::current().object<Constants>();
  std::lock_guard lock(constants.mutex);
  const Device device = default_device();
  std::vector<std::int64_t> sizes;
  for (int i = 0; i < shape.rank(); ++i) sizes.push_back(shape[i]);
  Tensor& t = constants.known[{device.type, device.index, dtype, sizes, values}];
  if (!t) {
    const PersistentMemory persistent;
    t = Tensor::from(values, shape, device).to(dtype).set_constant();
    PersistentMemory::publish(device);
  }
  return t;
}

}  // namespace g2s
