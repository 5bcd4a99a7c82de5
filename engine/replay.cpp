#include "engine/replay.h"

#include "engine/accelerator.h"
#include "engine/error.h"

namespace g2s {
namespace {

thread_local std::vector<std::function<void()>>* captured_updates = nullptr;  // of the Replay that writes its work down
thread_local bool inside = false;
thread_local int kept = 0;

// This thread works in a recording's memory.
class Inside {
 public:
  explicit Inside(Recording& recording) : recording_(recording) {
    if (inside) fail(Errc::invalid_argument, "replay", "the work of a Replay runs another one");
    recording_.enter();
    inside = true;
  }
  ~Inside() {
    inside = false;
    recording_.leave();
  }
  Inside(const Inside&) = delete;

 private:
  Recording& recording_;
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
  captured_updates = &updates_;
  try {
    work_();
  } catch (...) {
    captured_updates = nullptr;
    recording_->abandon();
    throw;
  }
  captured_updates = nullptr;
  recording_->end();
}

void Replay::each_time(std::function<void()> update) {
  if (captured_updates) captured_updates->push_back(std::move(update));
  else update();
}

bool Replay::capturing() { return captured_updates != nullptr; }

KeptMemory::KeptMemory() { ++kept; }
KeptMemory::~KeptMemory() { --kept; }
void KeptMemory::publish(Device device) {
  if (device.type != DeviceType::cpu) accelerator(device, "kept").synchronize();
}
bool KeptMemory::wanted() { return kept > 0; }

}  // namespace g2s
