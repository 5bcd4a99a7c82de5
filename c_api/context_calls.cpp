// The functions of the header about contexts.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <nlohmann/json.hpp>

#include "c_api/call.h"
#include "c_api/context.h"
#include "c_api/objects.h"
#include "engine/accelerator.h"
#include "engine/parallel.h"
#include "kernels/machine.h"

namespace g2s::capi {
namespace {

// Of the first version of the header that has it; later ones only add.
constexpr std::size_t first_options_size = offsetof(g2s_context_options, user) + sizeof(void*);

// The caller's header may be older, then the rest is as by default, or newer, then what this library does not know must be 0.
g2s_context_options read_options(const g2s_context_options* given) {
  g2s_context_options options;
  g2s_context_options_init(&options);
  if (!given) return options;
  const std::size_t size = given->struct_size;
  if (size < first_options_size || size > 4096)
    fail(Errc::invalid_argument, "options", "struct_size is ", size, "; g2s_context_options_init() sets it");
  const char* bytes = reinterpret_cast<const char*>(given);
  if (size > sizeof options && std::any_of(bytes + sizeof options, bytes + size, [](char c) { return c != 0; }))
    fail(Errc::unsupported, "options", "has fields that this library, version ", g2s_version(), ", does not know");
  std::memcpy(&options, given, std::min(size, sizeof options));
  return options;
}

nlohmann::json describe(ContextObject& object) {
  const ContextOptions& o = object.context().options();
  nlohmann::json out = {{"version", g2s_version()},
                        {"device", str(o.device)},
                        {"threads", num_threads()},
                        {"instruction_set", instruction_set()},
                        {"precision", to_string(precision())},
                        {"memory_limit", o.memory_limit},
                        {"own_stream", o.stream == nullptr},
                        {"cancelled", object.context().cancelled()}};
  if (o.device.type != DeviceType::cpu) out["device_name"] = accelerator(o.device, "device").name(o.device.index);
  try {
    out["assets"] = object.assets();
  } catch (const Error& e) {  // needed only where no weights are named
    out["assets"] = nullptr;
    out["assets_missing"] = e.what();
  }
  return out;
}

}  // namespace
}  // namespace g2s::capi

using namespace g2s;
using namespace g2s::capi;

void g2s_context_options_init(g2s_context_options* options) {
  if (!options) return;
  *options = {};
  options->struct_size = sizeof *options;
}

g2s_status g2s_context_new(const g2s_context_options* options, g2s_context* context) {
  return call([&] {
    g2s_context& out = output(context, "context");
    out = give(std::make_shared<ContextObject>(read_options(options)));
  });
}

g2s_status g2s_context_free(g2s_context context) {
  return call([&] { free_handle<ContextObject>(context, "context"); });
}

g2s_status g2s_context_cancel(g2s_context context) {
  return call([&] { find<ContextObject>(context, "context")->context().cancel(); });
}

g2s_status g2s_context_resume(g2s_context context) {
  return call([&] { find<ContextObject>(context, "context")->context().resume(); });
}

g2s_status g2s_context_describe(g2s_context context, g2s_text* text) {
  return call([&] {
    g2s_text& out = output(text, "text");
    const auto object = find<ContextObject>(context, "context");
    const FreshThread fresh;
    const UseContext in(object->context());
    out = give_text(capi::describe(*object).dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  });
}
