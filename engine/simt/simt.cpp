#include "engine/simt/simt.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

#include "engine/error.h"
#include "engine/parallel.h"
#include "engine/simt/hooks.h"
#include "engine/simt/machine.h"
#include "engine/simt/switch.h"

namespace g2s::simt {

constinit thread_local Environment environment;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(G2S_WATCH_RACES)
constexpr std::size_t stack_bytes = 512 << 10;
#else
constexpr std::size_t stack_bytes = 128 << 10;
#endif
constexpr std::size_t guard_bytes = 256;  // before and after shared memory, to see writes outside it
constexpr std::size_t most_shared = std::size_t{227} << 10;
constexpr unsigned most_blocks_yz = 65535, most_lanes_z = 64;
constexpr std::size_t most_blocks_x = 0x7fffffff;
constexpr unsigned whole_warp = 0xffffffffu;
constexpr unsigned char unwritten = 0xff;  // four or eight of them are a NaN
constexpr unsigned char guard = 0xa5;
constexpr unsigned most_lanes = 1024;

std::atomic<int> chosen_order{-1};

std::string place(const std::source_location& at) {
  const std::string file = at.file_name();
  return file.substr(file.rfind('/') + 1) + ":" + std::to_string(at.line());
}

bool same_place(const std::source_location& a, const std::source_location& b) {
  return a.line() == b.line() && a.column() == b.column() && std::strcmp(a.file_name(), b.file_name()) == 0;
}

#if defined(__SANITIZE_ADDRESS__)
void asan_poison(void* from, std::size_t bytes) { __asan_poison_memory_region(from, bytes); }
void asan_unpoison(void* from, std::size_t bytes) { __asan_unpoison_memory_region(from, bytes); }
#else
void asan_poison(void*, std::size_t) {}
void asan_unpoison(void*, std::size_t) {}
#endif

struct KernelError {
  std::string what;
};

}  // namespace

// A stack on which lanes run, one after the other unless one waits.
struct Fiber {
  FiberContext context;
  class Worker* worker = nullptr;
};

// A block's shared memory between two guards, unwritten at its start. AddressSanitizer watches the guards itself.
class SharedMemory {
 public:
  ~SharedMemory() { std::free(memory_); }

  void prepare(std::size_t size) {
    asan_unpoison(memory_, capacity_);
    const std::size_t whole = (size + 3 * guard_bytes - 1) / guard_bytes * guard_bytes;
    if (capacity_ < whole) {
      std::free(memory_);
      memory_ = static_cast<unsigned char*>(std::aligned_alloc(guard_bytes, whole));
      if (!memory_) throw std::bad_alloc();
      capacity_ = whole;
    }
    size_ = size;
    std::memset(memory_, guard, guard_bytes);
    std::memset(bytes(), unwritten, size);
    std::memset(bytes() + size, guard, whole - guard_bytes - size);
    asan_poison(memory_, guard_bytes);
    asan_poison(bytes() + size, capacity_ - guard_bytes - size);
  }

  unsigned char* bytes() { return memory_ + guard_bytes; }

  void look_for_damage() {
    asan_unpoison(memory_, capacity_);
    bool whole = true;
    for (std::size_t i = 0; i < guard_bytes; ++i) whole = whole && memory_[i] == guard && bytes()[size_ + i] == guard;
    if (!whole) throw KernelError{"it wrote outside its " + std::to_string(size_) + " bytes of shared memory"};
  }

 private:
  unsigned char* memory_ = nullptr;
  std::size_t capacity_ = 0, size_ = 0;
};

// Runs blocks on one host thread.
class Worker {
 public:
  Worker() {
    idle_.reserve(most_lanes);
    spent_.reserve(most_lanes);
  }
  ~Worker() { drop_fibers(); }

  void run_block(const char* name, const void* kernel, const std::function<void()>& body, Index block, Extent blocks, Extent threads,
                 std::size_t shared_bytes) {
    const auto count = static_cast<unsigned>(threads.count());
    if (lanes_.size() < count) lanes_.resize(count);
    shared_.prepare(shared_bytes);
    body_ = &body;
    count_ = count;
    next_ = 0;
    error_ = nullptr;
    set_lanes(threads, block);
    environment = {nullptr, lanes_.data(), block, blocks, threads, shared_.bytes(), shared_bytes};
    count_block(name, kernel);
    publish(&start_token_);
    while (next_ < count_ && !error_) resume(idle_fiber());
    try {
      while (!error_ && advance()) {
      }
    } catch (const KernelError&) {
      error_ = std::current_exception();
    }
    if (error_)
      for (auto& fiber : fibers_) publish_for(fiber->context, &end_token_);
    subscribe(&end_token_);
    if (!error_) complete_all_requests();
    environment = {};
    idle_.insert(idle_.end(), spent_.begin(), spent_.end());
    spent_.clear();
    if (error_) {
      drop_fibers();
      std::rethrow_exception(std::exchange(error_, nullptr));
    }
    shared_.look_for_damage();
  }

  void wait(Wait what, unsigned mask, const std::source_location& at) {
    Lane& lane = *environment.lane;
    Fiber& fiber = *lane.fiber;
    lane.wait = what;
    lane.mask = mask;
    lane.at = at;
    if (!races_are_watched) {
      switch_to(fiber.context, scheduler_);
      environment.lane = &lane;
      return;
    }
    // A lane that runs ahead comes to its next barrier while others still leave this one: it must not tell them what it has done since.
    // Hence two tokens in turn. Lanes that meet in parts of a warp have not counted alike: each tells by a token of its own.
    char* token = what == Wait::block  ? &block_tokens_[++lane.barriers % 2]
                  : mask == whole_warp ? &warp_tokens_[lane.number / warp_size][++lane.whole_warps % 2]
                                       : &lane_tokens_[lane.number][lane.turn];
    publish(token);
    switch_to(fiber.context, scheduler_);
    environment.lane = &lane;
    if (what == Wait::block || mask == whole_warp) return subscribe(token);
    const unsigned first = lane.number / warp_size * warp_size;
    for (unsigned k = 0; k < warp_size && first + k < count_; ++k)
      if (mask >> k & 1u) subscribe(&lane_tokens_[first + k][lanes_[first + k].readable]);
  }

 private:
  void set_lanes(Extent threads, Index block) {
    for (unsigned i = 0; i < count_; ++i) {
      Lane& lane = lanes_[i];
      lane.thread = {i % threads.x, i / threads.x % threads.y, i / (threads.x * threads.y)};
      lane.number = i;
      lane.wait = Wait::ready;
      lane.fiber = nullptr;
      lane.copies.clear();
      lane.committed = 0;
      lane.barriers = lane.whole_warps = 0;
    }
    sequence_.resize(count_);
    for (unsigned i = 0; i < count_; ++i) sequence_[i] = order() == Order::reverse ? count_ - 1 - i : i;
    if (order() == Order::shuffle) {
      std::mt19937 random(block.x * 7919 + block.y * 104729 + block.z + 1);
      std::shuffle(sequence_.begin(), sequence_.end(), random);
    }
  }

  Fiber& idle_fiber() {
    if (idle_.empty()) {
      fibers_.push_back(std::make_unique<Fiber>());
      fibers_.back()->worker = this;
      prepare(fibers_.back()->context, stack_bytes, &Worker::enter, fibers_.back().get());
      return *fibers_.back();
    }
    Fiber* fiber = idle_.back();
    idle_.pop_back();
    return *fiber;
  }

  void resume(Fiber& fiber) { switch_to(scheduler_, fiber.context); }

  static void enter(void* argument) {
    Fiber& fiber = *static_cast<Fiber*>(argument);
    for (;;) fiber.worker->run_lanes(fiber);
  }

  // On a fiber: lanes that nobody has begun, until one of them waits and is resumed, or none is left.
  void run_lanes(Fiber& fiber) {
    subscribe(&start_token_);
    do {
      if (next_ >= count_ || error_) break;
      Lane& lane = lanes_[sequence_[next_++]];
      lane.fiber = &fiber;
      environment.lane = &lane;
      try {
        (*body_)();
      } catch (...) {
        error_ = std::current_exception();
      }
      lane.wait = Wait::done;
    } while (!races_are_watched);
    publish(&end_token_);
    // ThreadSanitizer takes a fiber for a thread: another lane of this block on it would look ordered after this one.
    (races_are_watched ? spent_ : idle_).push_back(&fiber);
    switch_to(fiber.context, scheduler_);
  }

  // Lets on those who wait for nobody any more. False when all are done.
  bool advance() {
    bool moved = false;
    for (unsigned first = 0; first < count_; first += warp_size)
      while (!error_ && release_warp(first)) moved = resume_warp(first) || moved;
    if (error_ || moved) return !error_;
    unsigned live = 0;
    for (unsigned i = 0; i < count_; ++i) live += lanes_[i].wait != Wait::done;
    if (live == 0) return false;
    release_block();
    for (unsigned first = 0; first < count_ && !error_; first += warp_size) resume_warp(first);
    return !error_;
  }

  // Marks as ready the lanes of a warp that are all where their operation's mask wants them.
  bool release_warp(unsigned first) {
    const unsigned last = std::min(first + warp_size, count_);
    bool released = false;
    for (unsigned i = first; i < last; ++i) {
      Lane& lane = lanes_[i];
      if (lane.wait == Wait::warp && complete(lane, first, last)) {
        const unsigned mask = lane.mask;
        if (mask == whole_warp) complete_requests(first);
        for (unsigned k = first; k < last; ++k) {
          if (!(mask >> (k - first) & 1u)) continue;
          lanes_[k].wait = Wait::ready;
          lanes_[k].readable = lanes_[k].turn;
        }
        released = true;
      }
    }
    return released;
  }

  bool complete(const Lane& lane, unsigned first, unsigned last) {
    for (unsigned k = 0; k < warp_size; ++k) {
      if (!(lane.mask >> k & 1u)) continue;
      // A full mask in a block of fewer lanes is usual, and right.
      if (first + k >= last) {
        if (lane.mask == whole_warp) break;
        throw KernelError{"a warp operation at " + place(lane.at) + " names lane " + std::to_string(k) + ", which the block has not"};
      }
      const Lane& other = lanes_[first + k];
      if (other.wait == Wait::done) {
        throw KernelError{"a warp operation at " + place(lane.at) + " names lane " + std::to_string(k) + ", which has exited"};
      }
      if (other.wait != Wait::warp || other.mask != lane.mask || !same_place(other.at, lane.at)) return false;
    }
    return true;
  }

  bool resume_warp(unsigned first) {
    const unsigned last = std::min(first + warp_size, count_);
    bool resumed = false;
    auto go = [&](unsigned i) {
      if (lanes_[i].wait != Wait::ready || error_) return;
      resumed = true;
      resume(*lanes_[i].fiber);
    };
    if (order() == Order::forward)
      for (unsigned i = first; i < last; ++i) go(i);
    else if (order() == Order::reverse)
      for (unsigned i = last; i-- > first;) go(i);
    else
      for (unsigned k = 0, n = last - first, at = first * 13 + 5; k < n; ++k) go(first + (k * 7 + at) % n);
    if (order() == Order::shuffle)
      for (unsigned i = first; i < last; ++i) go(i);  // where 7 divides the number of lanes
    return resumed;
  }

  void release_block() {
    const Lane* waiting = nullptr;
    for (unsigned i = 0; i < count_; ++i) {
      const Lane& lane = lanes_[i];
      if (lane.wait == Wait::done) continue;
      if (lane.wait == Wait::warp) {
        throw KernelError{"thread " + std::to_string(i) + " waits for its warp at " + place(lane.at) + ", and others never come there"};
      }
      if (waiting && !same_place(waiting->at, lane.at)) {
        throw KernelError{"threads " + std::to_string(waiting->number) + " and " + std::to_string(i) + " wait at different barriers, " +
                          place(waiting->at) + " and " + place(lane.at)};
      }
      waiting = &lane;
    }
    complete_all_requests();
    for (unsigned i = 0; i < count_; ++i)
      if (lanes_[i].wait == Wait::block) lanes_[i].wait = Wait::ready;
  }

  void drop_fibers() {
    idle_.clear();
    spent_.clear();
    for (auto& fiber : fibers_) destroy(fiber->context);
    fibers_.clear();
  }

  const std::function<void()>* body_ = nullptr;
  std::vector<Lane> lanes_;
  std::vector<unsigned> sequence_;  // the order in which lanes begin
  unsigned count_ = 0, next_ = 0;
  SharedMemory shared_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_, spent_;
  FiberContext scheduler_;
  std::exception_ptr error_;
  char start_token_ = 0, end_token_ = 0, block_tokens_[2] = {}, warp_tokens_[most_lanes / warp_size][2] = {},
       lane_tokens_[most_lanes][2] = {};
};

namespace {

Worker& worker() {
  static thread_local Worker w;
  return w;
}

}  // namespace

void set_order(Order order) { chosen_order = static_cast<int>(order); }

Order order() {
  int value = chosen_order.load(std::memory_order_relaxed);
  if (value >= 0) return static_cast<Order>(value);
  const char* requested = std::getenv("G2S_SIMT_ORDER");
  const std::string name = requested ? requested : "forward";
  if (name != "forward" && name != "reverse" && name != "shuffle")
    fail(Errc::invalid_argument, "G2S_SIMT_ORDER", "'", name, "' is none of forward, reverse, shuffle");
  value = name == "reverse" ? 1 : name == "shuffle" ? 2 : 0;
  chosen_order = value;
  return static_cast<Order>(value);
}

void run(const char* name, Extent blocks, Extent threads, std::size_t shared_bytes, const std::function<void()>& body, const void* kernel) {
  if (threads.count() == 0 || threads.count() > most_lanes || blocks.count() == 0)
    fail(Errc::internal, name, "a launch of ", blocks.count(), " blocks of ", threads.count(), " threads is not possible");
  if (blocks.x > most_blocks_x || blocks.y > most_blocks_yz || blocks.z > most_blocks_yz || threads.z > most_lanes_z)
    fail(Errc::internal, name, "a launch of ", blocks.x, "x", blocks.y, "x", blocks.z, " blocks of ", threads.x, "x", threads.y, "x",
         threads.z, " threads is not possible");
  if (shared_bytes > most_shared)
    fail(Errc::internal, name, shared_bytes, " bytes of shared memory are more than a block can have, ", most_shared);
  if (fails(name)) return;
  const auto count = static_cast<std::int64_t>(blocks.count());
  std::vector<std::int64_t> sequence;
  if (order() == Order::shuffle) {
    sequence.resize(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) sequence[static_cast<std::size_t>(i)] = i;
    std::shuffle(sequence.begin(), sequence.end(), std::mt19937(1));
  }
  const std::int64_t piece = std::clamp<std::int64_t>(count / 64, 1, 256);
  try {
    parallel_blocks(count, piece, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t k = first; k < last; ++k) {
        const std::int64_t i = order() == Order::forward   ? k
                               : order() == Order::reverse ? count - 1 - k
                                                           : sequence[static_cast<std::size_t>(k)];
        const auto linear = static_cast<std::size_t>(i);
        const Index block{static_cast<unsigned>(linear % blocks.x), static_cast<unsigned>(linear / blocks.x % blocks.y),
                          static_cast<unsigned>(linear / (std::size_t{blocks.x} * blocks.y))};
        worker().run_block(name, kernel, body, block, blocks, threads, shared_bytes);
      }
    });
  } catch (const KernelError& e) {
    fail(Errc::internal, name, "the kernel is wrong: ", e.what);
  }
}

void wait_for_block(std::source_location at) {
  if (!environment.lane) refuse("a barrier outside a kernel", at);
  worker().wait(Wait::block, 0, at);
}

void wait_for_warp(unsigned mask, std::source_location at) {
  if (!(mask >> environment.lane->number % warp_size & 1u)) refuse("a warp operation is called by a lane that its mask leaves out", at);
  worker().wait(Wait::warp, mask, at);
}

void write_unwatched(unsigned char* to, const void* from, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) static_cast<volatile unsigned char*>(to)[i] = static_cast<const unsigned char*>(from)[i];
}

const void* shown(unsigned mask, unsigned other, const std::source_location& at) {
  const unsigned first = lane().number / warp_size * warp_size;
  if (!(mask >> other & 1u)) refuse("a lane reads from one that the mask leaves out", at);
  if (first + other >= environment.threads.count()) refuse("a lane reads from one that the block has not", at);
  const Lane& source = environment.lanes[first + other];
  return source.slot[source.readable];
}

void begin_copy(void* to, const void* from, unsigned bytes, unsigned taken, const std::source_location& at) {
  const void* place_in_code = __builtin_return_address(0);
  auto* target = static_cast<unsigned char*>(to);
  const unsigned char* shared = environment.shared;
  if (target < shared || target + bytes > shared + environment.shared_bytes) refuse("an asynchronous copy goes elsewhere than to shared memory", at);
  if (reinterpret_cast<std::uintptr_t>(to) % bytes != 0 || (taken > 0 && reinterpret_cast<std::uintptr_t>(from) % bytes != 0))
    refuse("an asynchronous copy is not aligned to its size", at);
  if (taken > bytes) refuse("an asynchronous copy takes more than it writes", at);
  count_access(from, taken, Access::read, place_in_code);
  count_access(to, bytes, Access::write, place_in_code);
  mark_shared(to, bytes, false);
  std::memset(target, unwritten, bytes);
  lane().copies.push_back({target, static_cast<const unsigned char*>(from), bytes, taken, lane().committed});
}

void commit_copies() { ++lane().committed; }

void wait_for_copies(unsigned most) {
  Lane& l = lane();
  std::size_t done = 0;
  for (; done < l.copies.size() && l.copies[done].group + most < l.committed; ++done) {
    const Copy& c = l.copies[done];
    std::memset(c.to, 0, c.bytes);
    if (c.taken > 0) std::memcpy(c.to, c.from, c.taken);
    mark_shared(c.to, c.bytes, true);
  }
  l.copies.erase(l.copies.begin(), l.copies.begin() + static_cast<std::ptrdiff_t>(done));
}

void refuse(const char* what, const std::source_location& at) {
  if (!environment.lane) fail(Errc::internal, "simt", what, ", at ", place(at));
  throw KernelError{std::string(what) + ", at " + place(at)};
}

}  // namespace g2s::simt
