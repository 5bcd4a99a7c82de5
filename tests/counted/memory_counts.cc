#include "tests/counted/memory_counts.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <tuple>

#include "engine/error.h"

extern "C" char __executable_start;  // of the linker: where the program begins

namespace g2s::simt {
namespace {

constexpr unsigned sector_bytes = 32, banks = 32, word_bytes = 4, warp = 32;
constexpr unsigned widest = 16;  // bytes that a lane moves at once

MemoryCounts sectors(unsigned width, const std::uintptr_t* addresses, unsigned lanes) {
  std::uintptr_t sorted[warp];
  unsigned count = 0;
  for (unsigned i = 0; i < warp; ++i)
    if (lanes >> i & 1u) sorted[count++] = addresses[i];
  if (!std::is_sorted(sorted, sorted + count)) std::sort(sorted, sorted + count);
  MemoryCounts c{1, count * std::int64_t{width}, 0, 0, 0};
  std::int64_t different = 0;
  std::uintptr_t next = 0;  // the first sector that has not been counted
  for (unsigned i = 0; i < count; ++i) {
    different += i == 0 || sorted[i] != sorted[i - 1];
    const std::uintptr_t first = std::max(next, sorted[i] / sector_bytes), last = (sorted[i] + width - 1) / sector_bytes;
    if (last < first) continue;
    c.units += static_cast<std::int64_t>(last - first + 1);
    next = last + 1;
  }
  c.ideal = (different * width + sector_bytes - 1) / sector_bytes;
  return c;
}

// Passes of lanes [first, end): each bank gives one word in each. Whoever wants the same word gets it in the same pass.
unsigned passes(unsigned width, const std::uintptr_t* addresses, unsigned lanes, unsigned first, unsigned end) {
  std::uintptr_t words[banks][warp];
  unsigned count[banks] = {}, most = 0;
  for (unsigned i = first; i < end; ++i) {
    if (!(lanes >> i & 1u)) continue;
    for (std::uintptr_t word = addresses[i] / word_bytes; word <= (addresses[i] + width - 1) / word_bytes; ++word) {
      const unsigned bank = word % banks;
      std::uintptr_t* known = words[bank];
      if (std::find(known, known + count[bank], word) != known + count[bank]) continue;
      known[count[bank]++] = word;
      most = std::max(most, count[bank]);
    }
  }
  return most;
}

// Wide accesses go by half warps or quarter warps.
MemoryCounts bank_passes(unsigned width, const std::uintptr_t* addresses, unsigned lanes) {
  MemoryCounts c;
  c.requests = 1;
  c.bytes = __builtin_popcount(lanes) * std::int64_t{width};
  const unsigned group = width <= word_bytes ? warp : warp * word_bytes / width;
  for (unsigned first = 0; first < warp; first += group) {
    const unsigned now = passes(width, addresses, lanes, first, first + group);
    c.units += now;
    c.ideal += now > 0;
  }
  return c;
}

// What one request costs: `addresses` of `lanes` lanes that move `width` bytes each.
MemoryCounts cost(Memory memory, unsigned width, const std::uintptr_t* addresses, unsigned lanes) {
  return memory == Memory::device ? sectors(width, addresses, lanes) : bank_passes(width, addresses, lanes);
}

constexpr unsigned most_lanes = 1024, most_warps = most_lanes / warp;
constexpr std::size_t most_shared = std::size_t{227} << 10;

// Device memory, and for each of its bytes whether it has been written.
struct Segment {
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::size_t> bytes{0};
  unsigned char* written = nullptr;
};
constexpr unsigned most_segments = 512;
Segment segments[most_segments];
std::atomic<unsigned> segment_count{0};

Segment* segment_of(std::uintptr_t address) {
  const unsigned count = segment_count.load(std::memory_order_acquire);
  for (unsigned i = 0; i < count; ++i)
    if (address - segments[i].begin.load(std::memory_order_relaxed) < segments[i].bytes.load(std::memory_order_relaxed)) return &segments[i];
  return nullptr;
}

unsigned char* shadow(const void* block, std::size_t bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(block);
  Segment* s = segment_of(address);
  if (!s) return nullptr;
  if (address - s->begin + bytes > s->bytes) fail(Errc::internal, "simt", "a copy runs over the end of device memory");
  return s->written + (address - s->begin);
}

struct Request {
  std::uintptr_t addresses[warp];
  unsigned lanes = 0;
};

// An instruction of the kernel that runs, as one host thread sees it.
struct Site {
  std::uintptr_t key = 0;
  MemorySite what;
  unsigned executed[most_lanes] = {};  // by each lane since its warp last met
  std::vector<Request> pending[most_warps];
};

using Key = std::tuple<const char*, const void*, std::uintptr_t>;

class Tracker {
 public:
  Tracker() : shared_(most_shared) { table_.resize(slots); }

  void begin(const char* launch, const void* kernel) {
    if (launch != launch_ || kernel != kernel_) finish_kernel();
    launch_ = launch, kernel_ = kernel;
    for (auto& site : sites_)
      for (unsigned w = 0; w < most_warps; ++w) drop(*site, w);  // of a block that ended with an error
    std::memset(shared_.data(), 0, environment.shared_bytes);
  }

  void count(const void* address, std::size_t bytes, Access access, const void* place) {
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    const std::size_t in_shared = at - reinterpret_cast<std::uintptr_t>(environment.shared);
    Memory memory = Memory::shared;
    unsigned char* written = nullptr;
    if (in_shared < environment.shared_bytes) {
      if (in_shared + bytes > environment.shared_bytes) return;  // the guards behind it will tell
      written = &shared_[in_shared];
    } else {
      const Segment* s = segment_of(at);
      if (!s || at - s->begin + bytes > s->bytes) return;
      memory = Memory::device;
      written = s->written + (at - s->begin);
    }
    for (std::size_t piece = 0; piece < bytes; piece += widest) {
      const auto width = static_cast<unsigned>(std::min<std::size_t>(widest, bytes - piece));
      // Calls are five bytes apart at least, so the sum names the piece too.
      Site& site = find(memory, access, width, reinterpret_cast<std::uintptr_t>(place) + piece / widest, place);
      site.what.counts.most = std::max(site.what.counts.most, add(site, at + piece));
      if (access != Access::write) site.what.counts.unwritten += std::memchr(written + piece, 0, width) != nullptr;
    }
    if (access != Access::read) std::memset(written, 1, bytes);
  }

  void mark(void* address, std::size_t bytes, bool written) {
    std::memset(&shared_[static_cast<std::size_t>(static_cast<unsigned char*>(address) - environment.shared)], written, bytes);
  }

  void complete(unsigned first_warp, unsigned end_warp) {
    for (auto& site : sites_)
      for (unsigned w = first_warp; w < end_warp; ++w) {
        if (site->pending[w].empty()) continue;
        for (const Request& r : site->pending[w])
          site->what.counts += cost(site->what.memory, site->what.width, r.addresses, r.lanes);
        drop(*site, w);
      }
  }

  // Keeps the counts of the kernel that has run, and is ready for another.
  void finish_kernel() {
    for (auto& site : sites_) {
      const auto [known, fresh] = done_.try_emplace({launch_, kernel_, site->key}, site->what);
      if (!fresh) known->second.counts += site->what.counts;
    }
    sites_.clear();
    std::fill(table_.begin(), table_.end(), nullptr);
    launch_ = nullptr, kernel_ = nullptr;
  }

  std::map<Key, MemorySite>& done() {
    finish_kernel();
    return done_;
  }

 private:
  static constexpr std::size_t slots = 1 << 14;

  Site& find(Memory memory, Access access, unsigned width, std::uintptr_t number, const void* place) {
    const std::uintptr_t key = number * 2 + static_cast<std::uintptr_t>(memory);
    std::size_t slot = key * 0x9e3779b97f4a7c15u >> 50;
    for (; table_[slot]; slot = (slot + 1) % slots)
      if (table_[slot]->key == key) return *table_[slot];
    if (sites_.size() > slots / 2) fail(Errc::internal, "simt", "too many instructions of one kernel access memory");
    sites_.push_back(std::make_unique<Site>());
    Site& site = *sites_.back();
    site.key = key;
    site.what = {launch_, kernel_, place, memory, access, width, {}};
    table_[slot] = &site;
    return site;
  }

  // How often the lane has come here now.
  static std::int64_t add(Site& site, std::uintptr_t address) {
    const unsigned lane = environment.lane->number, k = site.executed[lane]++;
    std::vector<Request>& pending = site.pending[lane / warp];
    if (k >= pending.size()) pending.resize(k + 1);
    pending[k].addresses[lane % warp] = address;
    pending[k].lanes |= 1u << lane % warp;
    return k + 1;
  }

  static void drop(Site& site, unsigned w) {
    if (site.pending[w].empty()) return;
    site.pending[w].clear();
    std::fill_n(site.executed + w * warp, warp, 0u);
  }

  const char* launch_ = nullptr;
  const void* kernel_ = nullptr;
  std::vector<unsigned char> shared_;  // which bytes of it are written
  std::vector<std::unique_ptr<Site>> sites_;
  std::vector<Site*> table_;
  std::map<Key, MemorySite> done_;
};

struct Trackers {
  std::mutex mutex;
  std::vector<Tracker*> all;  // never destroyed: a thread may end before its counts are read
};

Trackers& trackers() {
  static auto* t = new Trackers;
  return *t;
}

Tracker& tracker() {
  thread_local Tracker* own = nullptr;
  if (!own) {
    own = new Tracker;
    std::lock_guard lock(trackers().mutex);
    trackers().all.push_back(own);
  }
  return *own;
}

}  // namespace

std::vector<MemorySite> memory_sites() {
  std::map<Key, MemorySite> all;
  std::lock_guard lock(trackers().mutex);
  for (Tracker* t : trackers().all)
    for (const auto& [key, site] : t->done()) {
      const auto [known, fresh] = all.try_emplace(key, site);
      if (!fresh) known->second.counts += site.counts;
    }
  std::vector<MemorySite> sites;
  for (const auto& [key, site] : all) sites.push_back(site);
  return sites;
}

void forget_memory_counts() {
  std::lock_guard lock(trackers().mutex);
  for (Tracker* t : trackers().all) t->done().clear();
}

void add_device_memory(void* block, std::size_t bytes) {
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  unsigned i = 0;
  while (i < segment_count && segments[i].bytes != 0) ++i;
  if (i == most_segments) fail(Errc::internal, "simt", "more than ", most_segments, " blocks of device memory at once");
  void* written = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (written == MAP_FAILED) throw std::bad_alloc();
  segments[i].written = static_cast<unsigned char*>(written);
  segments[i].begin = reinterpret_cast<std::uintptr_t>(block);
  segments[i].bytes = bytes;
  segment_count = std::max(segment_count.load(), i + 1);
}

void remove_device_memory(void* block) {
  Segment* s = segment_of(reinterpret_cast<std::uintptr_t>(block));
  if (!s) return;
  munmap(s->written, s->bytes);
  s->bytes = 0;
}

void mark_written(void* block, std::size_t bytes, bool written) {
  if (unsigned char* bits = shadow(block, bytes)) std::memset(bits, written, bytes);
}

void mark_copied(void* to, const void* from, std::size_t bytes) {
  const unsigned char* source = shadow(from, bytes);
  if (!source) return mark_written(to, bytes);
  if (unsigned char* target = shadow(to, bytes)) std::memcpy(target, source, bytes);
}

void count_block(const char* launch, const void* kernel) { tracker().begin(launch, kernel); }
void complete_requests(unsigned first_lane) { tracker().complete(first_lane / warp, first_lane / warp + 1); }
void complete_all_requests() { tracker().complete(0, most_warps); }

void count_access(const void* address, std::size_t bytes, Access access, const void* place) {
  if (environment.lane) tracker().count(address, bytes, access, place);
}

void mark_shared(void* address, std::size_t bytes, bool written) { tracker().mark(address, bytes, written); }

namespace {

// Writes the counts at the end of the process: one line for each instruction.
struct Report {
  const char* path = std::getenv("G2S_SIMT_MEMORY");
  ~Report() {
    if (!path) return;
    std::ofstream out(path, std::ios::app);
    auto within = [](const void* p) { return static_cast<const char*>(p) - &__executable_start; };
    for (const MemorySite& s : memory_sites()) {
      const MemoryCounts& c = s.counts;
      out << std::hex << within(s.kernel) << ' ' << within(s.place) << std::dec << ' ' << s.launch << ' ' << (s.memory == Memory::shared ? "shared" : "device")
          << ' ' << (s.access == Access::read ? "read" : s.access == Access::write ? "write" : "atomic") << ' ' << s.width << ' ' << c.requests << ' '
          << c.bytes << ' ' << c.units << ' ' << c.ideal << ' ' << c.unwritten << '\n';
    }
  }
} report;

}  // namespace

}  // namespace g2s::simt
