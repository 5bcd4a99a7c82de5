#include "engine/context.h"

#include <cstdlib>

#include "engine/error.h"
#include "engine/progress.h"
#include "engine/thread_pool.h"
#include "engine/thread_state.h"

namespace g2s {
namespace {

constexpr const char* override_names[] = {"G2S_CONV_PATH", "G2S_CUDA_CONV", "G2S_CUDA_MATMUL", "G2S_CUDA_MATH", "G2S_BF16"};

// What the options say counts more than the environment.
ContextOptions with_environment(ContextOptions options) {
  for (const char* name : override_names)
    if (const char* value = std::getenv(name); value && *value) options.settings.overrides.emplace(name, value);
  return options;
}

// For threads that use no context of their own. Never destroyed: tensors with static storage may be released after it would be.
Context& default_context() {
  static auto* const context = new Context;
  return *context;
}

}  // namespace

struct ContextThreads {
  static std::unique_ptr<ThreadResources> enter(Context& c) {
    std::unique_lock lock(c.idle_mutex_);
    if (c.idle_.empty()) return std::make_unique<ThreadResources>();
    auto resources = std::move(c.idle_.back());
    c.idle_.pop_back();
    lock.unlock();
    if (resources->enter) resources->enter();
    return resources;
  }
  static void leave(Context& c, std::unique_ptr<ThreadResources> resources) {
    if (resources->leave) resources->leave();
    std::lock_guard lock(c.idle_mutex_);
    c.idle_.push_back(std::move(resources));
  }
};

namespace {

// Those that a thread has in the default context go back when it ends.
struct UntilThreadEnd {
  std::unique_ptr<ThreadResources> resources;
  ~UntilThreadEnd() {
    if (thread_state().resources == resources.get()) thread_state().resources = nullptr;
    if (resources) ContextThreads::leave(default_context(), std::move(resources));
  }
};
thread_local UntilThreadEnd in_default_context;

}  // namespace

ThreadState& thread_state() {
  static thread_local ThreadState state;
  return state;
}

Context::Context(ContextOptions options) : options_(with_environment(std::move(options))), pool_(std::make_unique<ThreadPool>(*this)) {
  if (options_.settings.threads < 0 || options_.settings.threads > most_threads)
    fail(Errc::invalid_argument, "threads", options_.settings.threads, " is not between 0 and ", most_threads);
}

Context::~Context() = default;

Context& Context::current() {
  Context* context = thread_state().context;
  return context ? *context : default_context();
}

void Context::log(const std::string& sentence) const {
  if (options_.log) options_.log(sentence);
}

void Context::report(const ProgressState& state) const {
  if (options_.progress) options_.progress(state);
}

FreshThread::FreshThread() : before_(thread_state()) {
  if (before_.captured) fail(Errc::invalid_argument, "context", "work that is to be repeated enters another one");
  if (before_.resources && before_.resources->leave) before_.resources->leave();
  thread_state() = {};
}

FreshThread::~FreshThread() {
  thread_state() = before_;
  if (before_.resources && before_.resources->enter) before_.resources->enter();
}

struct UseContext::Before {
  ThreadState state;
  std::unique_ptr<ThreadResources> resources;  // of the context that is used
};

UseContext::UseContext(Context& context) : before_(std::make_unique<Before>()) {
  ThreadState& now = thread_state();
  if (now.captured) fail(Errc::invalid_argument, "context", "work that is to be repeated enters another one");
  before_->state = now;
  if (now.context == &context) return;
  if (now.resources && now.resources->leave) now.resources->leave();
  before_->resources = ContextThreads::enter(context);
  now.context = &context;
  now.settings = nullptr;
  now.resources = before_->resources.get();
  now.device = context.options().device;
}

UseContext::~UseContext() {
  ThreadState& now = thread_state();
  if (before_->resources) ContextThreads::leave(*now.context, std::move(before_->resources));
  now.context = before_->state.context;
  now.settings = before_->state.settings;
  now.resources = before_->state.resources;
  now.device = before_->state.device;
  if (now.resources && now.resources->enter) now.resources->enter();
}

const Settings& settings() {
  const Settings* now = thread_state().settings;
  return now ? *now : Context::current().options().settings;
}

const Settings* WithSettings::exchange(const Settings* now) { return std::exchange(thread_state().settings, now); }

ThreadResources& thread_resources() {
  ThreadState& now = thread_state();
  if (!now.resources) {
    auto& own = in_default_context.resources;  // there already within a FreshThread
    if (!own) own = ContextThreads::enter(default_context());
    now.resources = own.get();
  }
  return *now.resources;
}

void check_cancelled(const std::string& what) {
  if (Context::current().cancelled()) fail(Errc::cancelled, what, "was interrupted");
}

}  // namespace g2s
