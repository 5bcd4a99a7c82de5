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

#include "engine/error.h"
#include "engine/parallel.h"
#include "engine/simt/switch.h"

namespace g2s::simt {

thread_local Environment environment;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t stack_bytes = 512 << 10;
#else
constexpr std::size_t stack_bytes = 128 << 10;
#endif
constexpr std::size_t guard_bytes = 64;  // after shared memory, to see writes beyond it
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

struct KernelError {
  std::string what;
};

}  // namespace

// A stack on which lanes run, one after the other unless one waits.
struct Fiber {
  Context context;
  class Worker* worker = nullptr;
};

// Runs blocks on one host thread.
class Worker {
 public:
  ~Worker() { drop_fibers(); }

  void run_block(const std::function<void()>& body, Index block, Extent blocks, Extent threads, std::size_t shared_bytes) {
    const auto count = static_cast<unsigned>(threads.count());
    if (lanes_.size() < count) lanes_.resize(count);
    shared_.assign(shared_bytes + guard_bytes, unwritten);
    std::fill(shared_.end() - guard_bytes, shared_.end(), guard);
#if defined(__SANITIZE_ADDRESS__)
    shared_.resize(shared_bytes);
    shared_.shrink_to_fit();
#endif
    body_ = &body;
    count_ = count;
    next_ = 0;
    error_ = nullptr;
    set_lanes(threads, block);
    environment = {nullptr, lanes_.data(), block, blocks, threads, shared_.data(), shared_bytes};
    publish(&start_token_);
    while (next_ < count_ && !error_) resume(idle_fiber());
    while (!error_ && advance()) {
    }
    subscribe(&end_token_);
    environment = {};
    if (error_) {
      drop_fibers();
      std::rethrow_exception(std::exchange(error_, nullptr));
    }
    for (std::size_t i = shared_bytes; i < shared_.size(); ++i)
      if (shared_[i] != guard) throw KernelError{"it wrote beyond its " + std::to_string(shared_bytes) + " bytes of shared memory"};
  }

  void wait(Wait what, unsigned mask, const std::source_location& at) {
    Lane& lane = *environment.lane;
    Fiber& fiber = *lane.fiber;
    lane.wait = what;
    lane.mask = mask;
    lane.at = at;
    void* token = what == Wait::block ? static_cast<void*>(&block_token_) : &warp_tokens_[lane.number / warp_size];
    publish(token);
    switch_to(fiber.context, scheduler_);
    environment.lane = &lane;
    subscribe(token);
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
    // ThreadSanitizer takes a fiber for a thread: another lane on it would look ordered after this one.
    if (races_are_watched) prepare(fiber->context, stack_bytes, &Worker::enter, fiber);
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
    idle_.push_back(&fiber);
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
        if (lane.mask == 0xffffffffu) break;
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
    for (unsigned i = 0; i < count_; ++i)
      if (lanes_[i].wait == Wait::block) lanes_[i].wait = Wait::ready;
  }

  void drop_fibers() {
    idle_.clear();
    for (auto& fiber : fibers_) destroy(fiber->context);
    fibers_.clear();
  }

  const std::function<void()>* body_ = nullptr;
  std::vector<Lane> lanes_;
  std::vector<unsigned> sequence_;  // the order in which lanes begin
  unsigned count_ = 0, next_ = 0;
  std::vector<unsigned char> shared_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
  Context scheduler_;
  std::exception_ptr error_;
  char start_token_ = 0, end_token_ = 0, block_token_ = 0, warp_tokens_[most_lanes / warp_size] = {};
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
  const char* wish = std::getenv("G2S_SIMT_ORDER");
  const std::string name = wish ? wish : "forward";
  if (name != "forward" && name != "reverse" && name != "shuffle") fail(Errc::invalid_argument, "G2S_SIMT_ORDER", "'", name, "' is none of forward, reverse, shuffle");
  value = name == "reverse" ? 1 : name == "shuffle" ? 2 : 0;
  chosen_order = value;
  return static_cast<Order>(value);
}

void run(const char* name, Extent blocks, Extent threads, std::size_t shared_bytes, const std::function<void()>& body) {
  if (threads.count() == 0 || threads.count() > most_lanes || blocks.count() == 0)
    fail(Errc::internal, name, "a launch of ", blocks.count(), " blocks of ", threads.count(), " threads is not possible");
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
        const std::int64_t i = order() == Order::forward ? k : order() == Order::reverse ? count - 1 - k : sequence[static_cast<std::size_t>(k)];
        const auto linear = static_cast<std::size_t>(i);
        const Index block{static_cast<unsigned>(linear % blocks.x), static_cast<unsigned>(linear / blocks.x % blocks.y),
                          static_cast<unsigned>(linear / (std::size_t{blocks.x} * blocks.y))};
        worker().run_block(body, block, blocks, threads, shared_bytes);
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
  if (!environment.lane) refuse("a warp operation outside a kernel", at);
  if (!(mask >> environment.lane->number % warp_size & 1u)) refuse("a warp operation is called by a lane that its mask leaves out", at);
  worker().wait(Wait::warp, mask, at);
}

const void* shown(unsigned mask, unsigned other, const std::source_location& at) {
  const unsigned first = lane().number / warp_size * warp_size;
  if (!(mask >> other & 1u)) refuse("a lane reads from one that the mask leaves out", at);
  if (first + other >= environment.threads.count()) refuse("a lane reads from one that the block has not", at);
  const Lane& source = environment.lanes[first + other];
  return source.slot[source.readable];
}

void begin_copy(void* to, const void* from, unsigned bytes, unsigned taken, const std::source_location& at) {
  auto* target = static_cast<unsigned char*>(to);
  const unsigned char* shared = environment.shared;
  if (target < shared || target + bytes > shared + environment.shared_bytes) refuse("an asynchronous copy goes elsewhere than to shared memory", at);
  if (reinterpret_cast<std::uintptr_t>(to) % bytes != 0 || (taken > 0 && reinterpret_cast<std::uintptr_t>(from) % bytes != 0))
    refuse("an asynchronous copy is not aligned to its size", at);
  if (taken > bytes) refuse("an asynchronous copy takes more than it writes", at);
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
  }
  l.copies.erase(l.copies.begin(), l.copies.begin() + static_cast<std::ptrdiff_t>(done));
}

void refuse(const char* what, const std::source_location& at) { throw KernelError{std::string(what) + ", at " + place(at)}; }

}  // namespace g2s::simt
