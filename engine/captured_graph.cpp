#include "engine/captured_graph.h"

#include "engine/accelerator.h"
#include "engine/error.h"
#include "engine/thread_state.h"

namespace g2s {

struct CapturedUpdates {
  std::vector<std::function<void()>>& list;  // of the CapturedGraph that writes its work down
};

namespace {

// This thread works in a graph's memory.
class Inside {
 public:
  explicit Inside(DeviceGraph& graph) {
    if (thread_state().graph) fail(Errc::invalid_argument, "captured graph", "the work of a CapturedGraph runs another one");
    thread_state().graph = &graph;
  }
  ~Inside() { thread_state().graph = nullptr; }
  Inside(const Inside&) = delete;
};

}  // namespace

CapturedGraph::CapturedGraph(Device device, const char* name, std::function<void()> work) : work_(std::move(work)) {
  if (device.type != DeviceType::cpu) graph_ = accelerator(device, name).graph(name);
}

CapturedGraph::~CapturedGraph() = default;

void CapturedGraph::run() {
  if (!graph_) return work_();
  if (runs_ == 0) {
    const Inside guard(*graph_);
    work_();
    runs_ = 1;
    return;
  }
  if (runs_ == 1) capture();
  runs_ = 2;
  for (const auto& update : updates_) update();
  graph_->launch();
}

void CapturedGraph::capture() {
  const Inside guard(*graph_);
  updates_.clear();
  graph_->begin_capture();
  CapturedUpdates captured{updates_};
  thread_state().captured = &captured;
  try {
    work_();
  } catch (...) {
    thread_state().captured = nullptr;
    graph_->abandon_capture();
    throw;
  }
  thread_state().captured = nullptr;
  graph_->end_capture();
}

void CapturedGraph::before_each_launch(std::function<void()> update) {
  if (CapturedUpdates* captured = thread_state().captured) captured->list.push_back(std::move(update));
  else update();
}

bool CapturedGraph::capturing() { return thread_state().captured != nullptr; }

PersistentMemory::PersistentMemory() { ++thread_state().persistent_memory; }
PersistentMemory::~PersistentMemory() { --thread_state().persistent_memory; }
void PersistentMemory::publish(Device device) {
  if (device.type != DeviceType::cpu) accelerator(device, "kept").synchronize();
}
bool PersistentMemory::active() { return thread_state().persistent_memory > 0; }

}  // namespace g2s
