// Copies between the device and any memory of the host, through pinned memory: the host waits for no copy to the device, unless very much is
// under way.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/accelerator.h"
#include "engine/cuda/device_memory.cuh"
#include "engine/cuda/launch.cuh"

namespace g2s::cuda {

// A few buffers of pinned memory in a ring. Copies to the device take pieces of one buffer until it is full. An event at its end says when
// all of them are done, which is looked at before the buffer's turn comes again.
class Staging {
 public:
  Staging() = default;
  Staging(const Staging&) = delete;
  ~Staging() {  // nothing is under way any more
    for (const Buffer& b : buffers_) {
      if (!b.memory) continue;
      cudaEventDestroy(b.done);
      cudaFreeHost(b.memory);
    }
  }

  void write(void* to, const void* from, std::size_t bytes) {
    for (std::size_t done = 0; done < bytes;) {
      if (used_ == buffer_bytes) next_buffer();
      const std::size_t size = std::min(bytes - done, buffer_bytes - used_);
      char* piece = buffer().memory + used_;
      std::memcpy(piece, static_cast<const char*>(from) + done, size);
      check(cudaMemcpyAsync(static_cast<char*>(to) + done, piece, size, cudaMemcpyHostToDevice, stream()), "copy");
      used_ = std::min(buffer_bytes, (used_ + size + alignment - 1) / alignment * alignment);
      done += size;
    }
  }

  // While the host copies what is in one buffer the device fills the next. `to` has all bytes at the end.
  void read(void* to, const void* from, std::size_t bytes) {
    const Buffer* full = nullptr;
    std::size_t full_from = 0, full_size = 0;
    auto empty = [&] {
      if (!full) return;
      check_device(cudaEventSynchronize(full->done));
      std::memcpy(static_cast<char*>(to) + full_from, full->memory, full_size);
    };
    for (std::size_t at = 0; at < bytes; at += buffer_bytes) {
      next_buffer();
      const std::size_t size = std::min(bytes - at, buffer_bytes);
      check(cudaMemcpyAsync(buffer().memory, static_cast<const char*>(from) + at, size, cudaMemcpyDeviceToHost, stream()), "copy");
      check(cudaEventRecord(buffer().done, stream()), "copy");
      empty();
      full = &buffer(), full_from = at, full_size = size;
    }
    empty();
    used_ = buffer_bytes;
  }

 private:
  static constexpr std::size_t buffer_bytes = std::size_t{4} << 20, alignment = 256;
  struct Buffer {
    char* memory = nullptr;
    cudaEvent_t done = nullptr;
  };

  Buffer& buffer() { return buffers_[current_]; }

  // Made when it is first needed, and kept as long as the thread.
  void next_buffer() {
    if (buffer().memory) check(cudaEventRecord(buffer().done, stream()), "copy");
    current_ = (current_ + 1) % buffers_.size();
    used_ = 0;
    if (buffer().memory) {
      if (cudaEventQuery(buffer().done) == cudaSuccess) return;
      count_host_sync();
      return check_device(cudaEventSynchronize(buffer().done));
    }
    void* memory = nullptr;
    check(cudaHostAlloc(&memory, buffer_bytes, cudaHostAllocDefault), "pinned memory");
    check(cudaEventCreateWithFlags(&buffer().done, cudaEventDisableTiming), "pinned memory");
    buffer().memory = static_cast<char*>(memory);
  }

  std::array<Buffer, 4> buffers_;
  std::size_t current_ = 0, used_ = buffer_bytes;
};

}  // namespace g2s::cuda
