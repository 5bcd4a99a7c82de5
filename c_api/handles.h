// Handles of the C interface. A handle is a number in the form of a pointer: kind, place in a table and generation, never an address. So
// one that was freed, or is of another type, or was never given, is told apart from a good one without touching memory.
#pragma once

#include <cstdint>
#include <memory>

namespace g2s::capi {

enum class Kind : std::uint8_t { context = 1, tensor, generator, lpips, masker, fit, text, faces };

const char* to_string(Kind kind);

// The table. All functions may be called from any thread. `argument` is what messages name.
std::uintptr_t add_handle(Kind kind, std::shared_ptr<void> object);
std::shared_ptr<void> find_handle(Kind kind, std::uintptr_t handle, const char* argument);  // throws Error unless there is one
// The handle is none from here on; the object lives until the last call that has found it ends. 0 gives nothing.
std::shared_ptr<void> remove_handle(Kind kind, std::uintptr_t handle, const char* argument);
std::size_t live_handles();

// Of an object with `using Handle = g2s_...` and `static constexpr Kind kind`.
template <class Object>
typename Object::Handle give(std::shared_ptr<Object> object) {
  return reinterpret_cast<typename Object::Handle>(add_handle(Object::kind, std::move(object)));
}
template <class Object>
std::shared_ptr<Object> find(typename Object::Handle handle, const char* argument) {
  return std::static_pointer_cast<Object>(find_handle(Object::kind, reinterpret_cast<std::uintptr_t>(handle), argument));
}
template <class Object>
void free_handle(typename Object::Handle handle, const char* argument) {
  remove_handle(Object::kind, reinterpret_cast<std::uintptr_t>(handle), argument);
}

}  // namespace g2s::capi
