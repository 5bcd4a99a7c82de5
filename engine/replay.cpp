#include "engine/replay.h"

#include "engine/accelerator.h"
#include "engine/error.h"
#include "engine/thread_state.h"

namespace g2s {

struct CapturedUpdates {
  std::vector<std::function<void()>>& list;  // of the Replay that writes its work down
};

namespace {

// This thread works in a recording's memory.
class Inside {
 public:
  explicit Inside(Recording& recording) {
    if (thread_state().recording) fail(Errc::invalid_argument, "replay", "the work of a Replay runs another one");
    thread_state().recording = &recording;
  }
  ~Inside() { thread_state().recording = nullptr; }
  Inside(const Inside&) = delete;
};

}  // namespace

Replay::Replay(Device device, const char* name, std::function<void()> work) : work_(std::move(work)) {
  if (device.type != DeviceType::cpu) recording_ = accelerator(device, name).recording(name);
}

Replay::~Replay() = default;

void Replay::run() {
  if (!recording_) return work_();
  if (runs_ == 0) {
    const Inside guard(*recording_);
    work_();
    runs_ = 1;
    return;
  }
  if (runs_ == 1) capture();
  runs_ = 2;
  for (const auto& update : updates_) update();
  recording_->launch();
}

void Replay::capture() {
  const Inside guard(*recording_);
  updates_.clear();
  recording_->begin();
  CapturedUpdates captured{updates_};
  thread_state().captured = &captured;
  try {
    work_();
  } catch (...) {
    thread_state().captured = nullptr;
    recording_->abandon();
    throw;
  }
  thread_state().captured = nullptr;
  recording_->end();
}

void Replay::each_time(std::function<void()> update) {
  if (CapturedUpdates* captured = thread_state().captured) captured->list.push_back(std::move(update));
  else update();
}

bool Replay::capturing() { return thread_state().captured != nullptr; }

KeptMemory::KeptMemory() { ++thread_state().kept_memory; }
KeptMemory::~KeptMemory() { --thread_state().kept_memory; }
void KeptMemory::publish(Device device) {
  if (device.type != DeviceType::cpu) accelerator(device, "kept").synchronize();
}
bool KeptMemory::wanted() { return thread_state().kept_memory > 0; }

}  // namespace g2s
