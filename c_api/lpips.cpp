// The perceptual distance.
#include "models/lpips.h"

#include <optional>

#include "c_api/arrays.h"
#include "c_api/call.h"
#include "c_api/context.h"
#include "engine/autograd.h"

namespace g2s::capi {
namespace {

struct LpipsObject {
  using Handle = g2s_lpips;
  static constexpr Kind kind = Kind::lpips;

  std::shared_ptr<ContextObject> context;
  Lpips lpips;
};

constexpr std::int64_t least_side = 16;

Array readable_pictures(const g2s_array* array, const char* argument) {
  Array a = Array::readable(array, argument, Content::image);
  a.with_batch().require(a.rank() == 4 && a.dim(1) >= least_side && a.dim(2) >= least_side && a.dim(3) == 3,
                         "[B,H,W,3] with H and W 16 or more");
  return a;
}

// [B]; of one pair also [].
Array writable_distance(const g2s_array* array, std::int64_t batch) {
  const Array a = Array::writable(array, "distance");
  a.require(a.shape() == Shape{batch} || (batch == 1 && a.rank() == 0), str("[", batch, "]"));
  return a;
}

Array writable_gradient(const g2s_array* array, const char* argument, const Array& of) {
  Array a = Array::writable(array, argument);
  a.with_batch().require_shape(of.shape());
  return a;
}

void distance(const LpipsObject& object, const g2s_array* a_array, const g2s_array* b_array, const g2s_array* distance_array) {
  const Array a = readable_pictures(a_array, "a"), b = readable_pictures(b_array, "b");
  b.require_shape(a.shape());
  const Array distance = writable_distance(distance_array, a.dim(0));
  if (a.empty()) return;
  const NoGrad no_grad;
  distance.write(object.lpips.distance(a.read(), b.read()).reshape(distance.shape()));
}

void gradient(const LpipsObject& object, const g2s_array* a_array, const g2s_array* b_array, const g2s_array* distance_array,
              const g2s_array* da_array, const g2s_array* db_array) {
  const Array a = readable_pictures(a_array, "a"), b = readable_pictures(b_array, "b");
  b.require_shape(a.shape());
  if (!da_array && !db_array) fail(Errc::invalid_argument, "da", "is null, and db too: no gradient is asked for");
  std::optional<Array> distance;
  if (distance_array) distance = writable_distance(distance_array, a.dim(0));
  std::vector<Array> gradients;
  if (da_array) gradients.push_back(writable_gradient(da_array, "da", a));
  if (db_array) gradients.push_back(writable_gradient(db_array, "db", b));
  if (a.empty()) return;
  Tensor x = a.read(), y = b.read();
  std::vector<Tensor> wanted;
  if (da_array) wanted.push_back(x.set_requires_grad());
  if (db_array) wanted.push_back(y.set_requires_grad());
  const Tensor d = object.lpips.distance(x, y);
  const std::vector<Tensor> found = grad({d}, wanted, {Tensor::full(d.shape(), 1)});
  if (distance) distance->write(d.detach().reshape(distance->shape()));
  for (std::size_t i = 0; i < found.size(); ++i) gradients[i].write(found[i]);
}

}  // namespace
}  // namespace g2s::capi

using namespace g2s;
using namespace g2s::capi;

g2s_status g2s_lpips_load(g2s_context context, const char* path, g2s_lpips* lpips) {
  return load_network<LpipsObject>(context, path, "lpips_vgg.safetensors", lpips, "lpips", [](const SafetensorsFile& file) { return Lpips(file); });
}

g2s_status g2s_lpips_free(g2s_lpips lpips) {
  return call([&] { free_handle<LpipsObject>(lpips, "lpips"); });
}

g2s_status g2s_lpips_distance(g2s_lpips lpips, const g2s_array* a, const g2s_array* b, const g2s_array* distance) {
  return call_network<LpipsObject>(lpips, "lpips", [&](const LpipsObject& object) { capi::distance(object, a, b, distance); });
}

g2s_status g2s_lpips_gradient(g2s_lpips lpips, const g2s_array* a, const g2s_array* b, const g2s_array* distance, const g2s_array* da,
                              const g2s_array* db) {
  return call_network<LpipsObject>(lpips, "lpips", [&](const LpipsObject& object) { gradient(object, a, b, distance, da, db); });
}
