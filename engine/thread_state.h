// What is current in a thread: the one thread-local of the engine. Every member is set by the constructor of some object and put back by its
// destructor. Trivially destructible, because tensors may be released after all else of a thread has been destroyed.
#pragma once

#include "engine/context.h"
#include "engine/types.h"

namespace g2s {

class DeviceGraph;
struct CapturedUpdates;
struct PendingNodes;

struct ThreadState {
  Context* context = nullptr;          // null: the default one (UseContext)
  const Settings* settings = nullptr;  // null: the context's (WithSettings)
  ThreadResources* resources = nullptr;  // null: not asked for yet
  Device device;                       // of new tensors (DefaultDevice, UseContext)
  bool grad_enabled = true;            // NoGrad
  bool in_parallel_region = false;     // parallel_for: nested ones run on the calling thread
  PendingNodes* pending_nodes = nullptr;  // nodes of the graph that wait to be freed, see autograd.cpp
  // Work that is repeated on a device, see captured_graph.h.
  DeviceGraph* graph = nullptr;           // whose memory new tensors take
  CapturedUpdates* captured = nullptr;    // while the work is being written down
  int persistent_memory = 0;              // how many PersistentMemory are alive
};

ThreadState& thread_state();

// While one lives the thread is as if it had done nothing before: no context but the default one, derivatives are recorded. For calls that may
// come from anywhere, even from a callback in the midst of work. What the thread asked of a device is waited for, as by UseContext. Throws
// within work that is being captured.
class FreshThread {
 public:
  FreshThread();
  ~FreshThread();
  FreshThread(const FreshThread&) = delete;
  FreshThread& operator=(const FreshThread&) = delete;

 private:
  ThreadState before_;
};

}  // namespace g2s
