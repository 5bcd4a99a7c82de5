// A device beside the CPU, as the engine needs it. CUDA's is engine/cuda/cuda_accelerator.cu, which is linked into programs that have it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "engine/allocator.h"
#include "engine/export.h"
#include "engine/types.h"

namespace g2s G2S_EXPORTED {

enum class CopyKind : std::uint8_t {
  host_to_device,
  device_to_host,
  device_to_device,
  device_to_host_later,  // into pinned() memory, which may be read after the next synchronize()
};

// What a thread asks of a device, written down and then done at each launch, and the memory that it works in. See CapturedGraph.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;  // its memory goes to everybody, but for blocks that are still in use
  // While it is a thread's (ThreadState::recording) that one's memory comes from the graph's own. Then from begin_capture() on all is
  // written down instead of done, until end_capture(), which throws naming the last kernel if the device refuses, or abandon_capture().
  // Copies between host and device and
  // waiting throw meanwhile. What goes back to everybody's memory stays in use.
  virtual void begin_capture() = 0;
  virtual void end_capture() = 0;
  virtual void abandon_capture() noexcept = 0;
  virtual void launch() = 0;
};

// Each thread has a stream in its context: what it asks for later sees what it asked for before. Only device_to_host waits. Another thread sees
// it after synchronize(). Memory that one thread has and another releases makes that one wait. All functions may be called from any thread.
class Accelerator {
 public:
  virtual ~Accelerator() = default;
  virtual int count() = 0;                       // devices
  virtual std::string unavailable_reason() = 0;  // why there are none
  virtual std::string name(int index) = 0;
  virtual Allocator& allocator(int index) = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes, CopyKind kind) = 0;
  // count elements of `size` bytes (1, 2, 4 or 8), each like `element`.
  virtual void fill(void* to, std::int64_t count, std::size_t size, const void* element) = 0;
  virtual void convert(void* to, DType to_type, const void* from, DType from_type, std::int64_t count) = 0;
  // y = a + b, of count elements of f32 or f64. y may be a.
  virtual void add(DType type, const void* a, const void* b, void* y, std::int64_t count) = 0;
  // Waits until all is done that this thread asked for; errors of kernels that were launched come out here, naming the last one.
  virtual void synchronize() = 0;
  // Memory of the host that the device reaches by itself.
  virtual std::shared_ptr<void> pinned(std::size_t bytes) = 0;
  virtual std::unique_ptr<DeviceGraph> graph(const char* name) = 0;
};

// The one that `device` belongs to; throws naming `op` if it is the CPU, if the program has no such backend, or the machine no such device.
Accelerator& accelerator(Device device, const char* op);

// Of this thread's context, see Context::Counts.
std::int64_t host_syncs();
void count_host_sync();
std::int64_t graph_launches();
void count_graph_launch();

// auto, cpu, cuda or cuda:N; throws naming `setting`, whose value `text` is, if there is no such device, or if it does not run the program's
// kernels. auto is cuda:0 where there is one that does, else the CPU.
Device device_from(const std::string& text, const char* setting);

}  // namespace g2s
