// A Context: all that decides a result beside its inputs, and all that work leaves behind to be quicker the next time. The process has none of
// its own: two contexts, in two threads or one after the other, know nothing of each other.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <typeindex>
#include <utility>
#include <vector>

#include "engine/export.h"
#include "engine/precision.h"
#include "engine/types.h"

namespace g2s G2S_EXPORTED {

struct ProgressState;
class ThreadPool;

// What may change for a while (WithSettings) in one thread, without a new context.
struct Settings {
  int threads = 0;  // 0: as many as the process may run on. Results do not depend on it
  Precision precision = Precision::f32;
  // Choices of algorithms that the tables and rules shall not make, by the names and values of the environment variables that a new context
  // takes them from: G2S_CONV_PATH, G2S_CUDA_CONV, G2S_CUDA_MATMUL, G2S_CUDA_MATH, G2S_BF16.
  std::map<std::string, std::string> overrides = {};
};

struct ContextOptions {
  Device device = {};  // where tensors are made that are not told where; a context works on one CUDA device
  // A cudaStream_t of the caller's, which all work on the device goes to, from one thread at a time; it outlives the context. Null: every
  // thread has a stream of its own.
  void* stream = nullptr;
  Settings settings = {};
  // Bytes, 0: no limit. Idle memory goes back to the system rather than that more is held; on a CUDA device no more is ever taken.
  std::size_t memory_limit = 0;
  std::function<void(const std::string&)> log = {};              // a sentence for the user, from any thread; empty: nobody listens
  std::function<void(const ProgressState&)> progress = {};       // how far long work is, from any thread
};

// One object of each type, made when it is first asked for and destroyed in the reverse order.
class ObjectsByType {
 public:
  ObjectsByType() = default;
  ObjectsByType(const ObjectsByType&) = delete;
  ~ObjectsByType() {
    while (!all_.empty()) all_.pop_back();
  }
  template <class T>
  T* find() const {
    for (const auto& [type, object] : all_)
      if (type == typeid(T)) return static_cast<T*>(object.get());
    return nullptr;
  }
  template <class T>
  T& get() {
    if (T* found = find<T>()) return *found;
    auto made = std::make_shared<T>();  // which may ask for others
    all_.emplace_back(typeid(T), made);
    return *made;
  }

 private:
  std::vector<std::pair<std::type_index, std::shared_ptr<void>>> all_;
};

// What one thread at a time has of a context: its stream on the device, libraries' handles and plans, scratch memory. A thread that leaves the
// context gives it back, and the next one goes on with it.
struct ThreadResources {
  ObjectsByType objects;
  std::function<void()> enter;  // called when a thread comes to them again: the device is the context's
  std::function<void()> leave;  // and when it leaves: waits for its work on the device
};

class Context {
 public:
  explicit Context(ContextOptions options = {});
  ~Context();  // nobody uses it any more; tensors that were made in it may live on
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // That of the UseContext which is alive in this thread, else one of the process that is never destroyed: the CPU, all threads, f32.
  static Context& current();

  const ContextOptions& options() const { return options_; }
  ThreadPool& pool() { return *pool_; }

  void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }  // async-signal-safe
  void resume() noexcept { cancelled_.store(false, std::memory_order_relaxed); }  // takes cancel() back
  bool cancelled() const noexcept { return cancelled_.load(std::memory_order_relaxed); }

  void log(const std::string& sentence) const;
  void report(const ProgressState& state) const;

  // What is kept for all threads of the context, such as tables on the device. T guards itself.
  template <class T>
  T& object() {
    std::lock_guard lock(objects_mutex_);
    return objects_.get<T>();
  }

  // How much work was asked for since the context was made, of all its threads.
  struct Counts {
    std::atomic<std::int64_t> multiply_adds{0};   // see engine/multiply_adds.h
    std::atomic<std::int64_t> host_syncs{0};      // for a device, to read something back or otherwise. An iteration of a step has none
    std::atomic<std::int64_t> graph_launches{0};  // one in each iteration that is repeated as a graph
  };
  Counts& counts() { return counts_; }

 private:
  friend struct ContextThreads;  // context.cpp

  ContextOptions options_;
  std::atomic<bool> cancelled_{false};
  Counts counts_;
  std::mutex objects_mutex_, idle_mutex_;
  ObjectsByType objects_;
  std::vector<std::unique_ptr<ThreadResources>> idle_;
  std::unique_ptr<ThreadPool> pool_;
};

// While one lives this thread works in `context`: with its settings, its device, its caches. They nest. Leaving, and entering another within,
// waits for what this thread has asked of the device; so tensors may cross. Throws within work that is being captured.
class UseContext {
 public:
  explicit UseContext(Context& context);
  ~UseContext();
  UseContext(const UseContext&) = delete;
  UseContext& operator=(const UseContext&) = delete;

 private:
  struct Before;
  std::unique_ptr<Before> before_;
};

// This thread's settings: of its context, or of the innermost WithSettings.
const Settings& settings();

// Other settings in this thread for the life of the object, and in the threads that help it.
class WithSettings {
 public:
  template <class Change>
  explicit WithSettings(Change&& change) : changed_(settings()) {
    change(changed_);
    before_ = exchange(&changed_);
  }
  ~WithSettings() { exchange(before_); }
  WithSettings(const WithSettings&) = delete;
  WithSettings& operator=(const WithSettings&) = delete;

 private:
  static const Settings* exchange(const Settings* now);

  Settings changed_;
  const Settings* before_;
};

class WithThreads : public WithSettings {
 public:
  explicit WithThreads(int threads) : WithSettings([=](Settings& s) { s.threads = threads; }) {}
};
class WithPrecision : public WithSettings {
 public:
  explicit WithPrecision(Precision precision) : WithSettings([=](Settings& s) { s.precision = precision; }) {}
};
// Null: as without an override.
class WithOverride : public WithSettings {
 public:
  WithOverride(const char* name, const char* value)
      : WithSettings([=](Settings& s) { value ? void(s.overrides[name] = value) : void(s.overrides.erase(name)); }) {}
};

// Throws Error(cancelled) naming what was stopped, if this thread's context was told to stop. Long loops ask between two iterations.
void check_cancelled(const std::string& what);

// What this thread keeps for itself in its context.
ThreadResources& thread_resources();
template <class T>
T& thread_object() {
  return thread_resources().objects.get<T>();
}

}  // namespace g2s
