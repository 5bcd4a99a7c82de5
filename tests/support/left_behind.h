// What a process holds: for tests that the same work many times over leaves nothing behind.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "engine/allocator.h"
#include "tests/support/cases.h"

namespace g2s::test {

inline std::size_t entries_of(const char* folder) {
  namespace fs = std::filesystem;
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

// Pages of the whole process, all that malloc keeps included.
inline std::size_t resident_bytes() {
  std::size_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}
// What malloc may have added to its own: less than a hundred of anything worth mentioning. Sanitizers keep what was freed.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t resident_slack = ~std::size_t{0} / 2;
#else
constexpr std::size_t resident_slack = std::size_t{8} << 20;
#endif

struct Left {
  std::size_t threads = entries_of("/proc/self/task"), files = entries_of("/proc/self/fd");
  std::size_t memory = allocator({}).stats().in_use, reserved = allocator({}).stats().reserved;
  std::size_t resident = resident_bytes();
  std::size_t device_memory = allocator(test_device()).stats().in_use, device_reserved = allocator(test_device()).stats().reserved;
};

inline void check_nothing_more(const Left& before) {
  const Left after;
  CHECK(after.threads == before.threads);
  CHECK(after.files == before.files);
  CHECK(after.memory == before.memory);
  CHECK(after.reserved <= before.reserved);
  CHECK(after.resident <= before.resident + resident_slack);
  CHECK(after.device_memory == before.device_memory);
  CHECK(after.device_reserved <= before.device_reserved);
}

}  // namespace g2s::test
