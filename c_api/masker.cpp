// The object mask.
#include "c_api/arrays.h"
#include "c_api/call.h"
#include "c_api/context.h"
#include "models/u2netp.h"

namespace g2s::capi {
namespace {

struct MaskerObject {
  using Handle = g2s_masker;
  static constexpr Kind kind = Kind::masker;

  std::shared_ptr<ContextObject> context;
  U2NetP network;
};

void find_mask(const MaskerObject& object, const g2s_array* picture_array, const g2s_array* mask_array) {
  Array picture = Array::readable(picture_array, "picture", Content::image), mask = Array::writable(mask_array, "mask", Content::mask);
  picture.without_batch().require(picture.rank() == 3 && picture.dim(2) == 3 && !picture.empty(), "[H,W,3]");
  mask.without_batch().require_shape({picture.dim(0), picture.dim(1)});
  mask.write(object.network.mask(picture.read()));
}

}  // namespace
}  // namespace g2s::capi

using namespace g2s;
using namespace g2s::capi;

g2s_status g2s_masker_load(g2s_context context, const char* path, g2s_masker* masker) {
  return load_network<MaskerObject>(context, path, "u2netp.safetensors", masker, "masker", [](const SafetensorsFile& file) { return U2NetP(file); });
}

g2s_status g2s_masker_free(g2s_masker masker) {
  return call([&] { free_handle<MaskerObject>(masker, "masker"); });
}

g2s_status g2s_masker_find(g2s_masker masker, const g2s_array* picture, const g2s_array* mask) {
  return call_network<MaskerObject>(masker, "masker", [&](const MaskerObject& object) { find_mask(object, picture, mask); });
}
