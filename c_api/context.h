// A context of the C interface: one of the engine's, the caller's callbacks, and what several objects in it share.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "c_api/call.h"
#include "c_api/handles.h"
#include "engine/context.h"
#include "engine/safetensors.h"
#include "engine/thread_state.h"
#include "gan2shape/gan2shape.h"

namespace g2s::capi {

// `stage` is that of the state.
g2s_progress to_c(const ProgressState& state);

// The caller's functions. Never two at once; one may call the library, and so come here again.
class Callbacks {
 public:
  explicit Callbacks(const g2s_context_options& options) : log_(options.log), progress_(options.progress), user_(options.user) {}
  void log(const std::string& sentence);
  void report(const ProgressState& state);  // throws Error(cancelled) if the caller asks for it

 private:
  std::recursive_mutex mutex_;
  g2s_log_callback log_;
  g2s_progress_callback progress_;
  void* user_;
};

class ContextObject {
 public:
  using Handle = g2s_context;
  static constexpr Kind kind = Kind::context;

  explicit ContextObject(const g2s_context_options& options);

  Context& context() { return context_; }

  // The folder that the options name; empty: none.
  const std::string& named_assets() const { return assets_; }
  // The folder of the default weights; throws if there is none.
  std::string assets() const;
  // The file in it, or `path` unless that is null. Throws Error(io) naming it if it is not there.
  std::string weights(const char* path, const char* asset) const;

  // What is the same for several objects of this context, such as weights, by a name: that of `make` if nobody has it any more. The one
  // that was asked for last is kept. It must not hold the context.
  template <class T>
  std::shared_ptr<T> shared(const std::string& name, const std::function<std::shared_ptr<T>()>& make) {
    std::lock_guard lock(shared_mutex_);
    std::shared_ptr<void> found = shared_[name].lock();
    if (!found) found = make();
    shared_[name] = found;
    last_shared_ = found;
    std::erase_if(shared_, [](const auto& entry) { return entry.second.expired(); });
    return std::static_pointer_cast<T>(found);
  }

 private:
  friend class InContext;

  Callbacks callbacks_;
  std::string assets_;             // as the options have it; empty: wherever they are found
  std::atomic<bool> busy_{false};  // with a stream of the caller's: a call is under way
  Context context_;
  std::recursive_mutex shared_mutex_;  // make() may come here again, from a callback
  std::map<std::string, std::weak_ptr<void>> shared_;
  std::shared_ptr<void> last_shared_;
};

// While one lives this thread works in the context, as if it had done nothing before: a call may come from a callback, or from a C++
// program in the midst of its own. Throws Busy if there is a stream of the caller's and another call works with it, Error(cancelled) if the
// context is.
class InContext {
 public:
  explicit InContext(std::shared_ptr<ContextObject> object, const char* what);

 private:
  struct Turn {
    explicit Turn(ContextObject& object);
    ~Turn();
    std::atomic<bool>* busy = nullptr;
  };

  std::shared_ptr<ContextObject> object_;
  Turn turn_;
  FreshThread fresh_;
  UseContext use_;
};

// Makes a network in a context, an Object{context, make(file)}, where the file is `path` or else an asset. `what` is its argument's name.
template <class Object, class Make>
g2s_status load_network(g2s_context context, const char* path, const char* asset, typename Object::Handle* handle, const char* what, Make&& make) {
  return call([&] {
    auto& out = output(handle, what);
    const auto owner = find<ContextObject>(context, "context");
    const InContext in(owner, what);
    out = give(std::make_shared<Object>(Object{owner, make(SafetensorsFile(owner->weights(path, asset)))}));
  });
}

// Runs work(object) in the context of the object.
template <class Object, class Work>
g2s_status call_network(typename Object::Handle handle, const char* what, Work&& work) {
  return call([&] {
    const auto object = find<Object>(handle, what);
    const InContext in(object->context, what);
    work(*object);
  });
}

}  // namespace g2s::capi
