// Work that is repeated, such as an iteration of a step: on a device one launch of a graph.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "engine/export.h"
#include "engine/types.h"

namespace g2s G2S_EXPORTED {

class DeviceGraph;

// On a device the first run() calls `work`, so that packed weights and memory exist, the second one writes down what work asks of the device,
// and this one and all later ones launch that as a graph. On the CPU every run() calls work.
//
// So work may depend on nothing but the device's memory, and must ask for the same each time: what changes from run to run is copied into
// tensors that work reads, before run(). It neither waits nor copies between host and device; whatever does throws, naming what it was.
// Tensors that work reads must live as long as the CapturedGraph. Tensors that it makes lie in memory of its own: the next run writes them
// again. When the CapturedGraph is gone they stay as they are. A CapturedGraph belongs to the thread that runs it, and to its context.
class CapturedGraph {
 public:
  CapturedGraph(Device device, const char* name, std::function<void()> work);  // the name is for errors of the device
  ~CapturedGraph();
  CapturedGraph(const CapturedGraph&) = delete;
  void run();

  // From within work: does `update` now, or before each launch if the work is being written down. For what the host contributes to each
  // run: an optimiser's step sizes, positions of random numbers. What it refers to lives as long as the CapturedGraph. What it writes to is
  // made before the work or as PersistentMemory, for the rest of the work's memory may serve another purpose until the work comes to its
  // place.
  static void before_each_launch(std::function<void()> update);
  static bool capturing();  // is this thread's work being written down?

 private:
  void capture();

  std::function<void()> work_;
  std::unique_ptr<DeviceGraph> graph_;
  std::vector<std::function<void()>> updates_;
  int runs_ = 0;
};

// While one lives this thread's memory is not the CapturedGraph's, within one too: for what is computed once and kept.
class PersistentMemory {
 public:
  PersistentMemory();
  ~PersistentMemory();
  PersistentMemory(const PersistentMemory&) = delete;
  static void publish(Device device);  // what this thread has computed there is ready for all threads
  static bool active();
};

}  // namespace g2s
