#include "c_api/objects.h"

#include "c_api/arrays.h"

using namespace g2s::capi;

g2s_status g2s_tensor_view(g2s_tensor tensor, g2s_array* view) {
  return call([&] {
    required(view, "view") = {};
    *view = view_of(find<TensorObject>(tensor, "tensor")->value);
  });
}

g2s_status g2s_tensor_free(g2s_tensor tensor) {
  return call([&] { free_handle<TensorObject>(tensor, "tensor"); });
}

const char* g2s_text_get(g2s_text text) {
  const char* found = "";
  const g2s_status status = call([&] { found = find<TextObject>(text, "text")->text.c_str(); });
  return status == G2S_OK ? found : "";
}

g2s_status g2s_text_free(g2s_text text) {
  return call([&] { free_handle<TextObject>(text, "text"); });
}
