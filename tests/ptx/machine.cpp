#include "tests/ptx/machine.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <mutex>

#include "engine/error.h"
#include "engine/parallel.h"
#include "tests/ptx/arithmetic.h"

namespace g2s::ptx {
namespace {

constexpr std::size_t warp_size = 32;
constexpr std::uint64_t first_page = 4096;
std::atomic<std::int64_t> total{0};

struct Frame {
  const Function* function;
  int at = 0;
  std::vector<std::uint64_t> registers;
  std::vector<char> predicates;
  std::vector<unsigned char> slots, local;
  Frame(const Function& f)
      : function(&f), registers(static_cast<std::size_t>(f.registers)), predicates(static_cast<std::size_t>(f.predicates)),
        slots(static_cast<std::size_t>(f.slot_bytes)), local(static_cast<std::size_t>(f.local_bytes)) {}
};

enum class State { running, at_barrier, in_warp, done };

struct Thread {
  std::array<unsigned, 3> place{};
  unsigned lane = 0, carry = 0;
  State state = State::running;
  std::vector<Frame> frames;
  Frame& frame() { return frames.back(); }
  const Instruction& instruction() { return frame().function->code[static_cast<std::size_t>(frame().at)]; }
};

std::uint64_t load(const unsigned char* from, int bytes, bool is_signed) {
  std::uint64_t v = 0;
  std::memcpy(&v, from, static_cast<std::size_t>(bytes));
  if (is_signed && bytes < 8 && (v >> (8 * bytes - 1) & 1)) v |= ~0ull << (8 * bytes);
  return v;
}

float number(std::uint64_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits)); }
float low_half(std::uint64_t pair, bool upper) { return number(upper ? pair & 0xffff0000u : (pair & 0xffffu) << 16); }

class Block {
 public:
  Block(const Module& m, const Function& kernel, const Grid& grid, const std::vector<const void*>& arguments, std::array<unsigned, 3> place)
      : module_(m), kernel_(kernel), grid_(grid), place_(place), shared_(grid.shared_bytes, 0xff) {
    const unsigned count = grid.threads[0] * grid.threads[1] * grid.threads[2];
    threads_.resize(count);
    for (unsigned i = 0; i < count; ++i) {
      Thread& t = threads_[i];
      t.place = {i % grid.threads[0], i / grid.threads[0] % grid.threads[1], i / (grid.threads[0] * grid.threads[1])};
      t.lane = i % warp_size;
      t.frames.reserve(4);
      t.frames.emplace_back(kernel);
      for (std::size_t p = 0; p < kernel.parameters.size(); ++p)
        std::memcpy(t.frame().slots.data() + kernel.slots.at(kernel.parameters[p].name), arguments[p], static_cast<std::size_t>(kernel.parameters[p].bytes));
    }
  }

  void run() {
    while (true) {
      bool moved = false;
      for (Thread& t : threads_)
        if (t.state == State::running) advance(t), moved = true;
      for (std::size_t first = 0; first < threads_.size(); first += warp_size) moved |= meet(first);
      if (moved) continue;
      if (std::all_of(threads_.begin(), threads_.end(), [](const Thread& t) { return t.state == State::done; })) break;
      for (Thread& t : threads_)
        if (t.state == State::in_warp) refuse(t.instruction(), "waits for lanes that never come");
      for (Thread& t : threads_)
        if (t.state == State::at_barrier) t.state = State::running, ++t.frame().at;
    }
    total.fetch_add(count_, std::memory_order_relaxed);
  }

 private:
  template <class... Parts> [[noreturn]] void refuse(const Instruction& i, const Parts&... what) const {
    fail(Errc::unsupported, module_.path, "line ", i.line, ", ", i.name, ": ", what...);
  }

  void advance(Thread& t) {
    while (t.state == State::running) {
      Frame& f = t.frame();
      if (f.at >= static_cast<int>(f.function->code.size())) fail(Errc::internal, f.function->name, "ran over its end");
      const Instruction& i = t.instruction();
      ++count_;
      if (i.guard >= 0 && (f.predicates[static_cast<std::size_t>(i.guard)] != 0) == i.guard_negated) ++f.at;
      else step(t, f, i);
    }
  }

  void step(Thread& t, Frame& f, const Instruction& i) {
    const std::string& n = i.name;
    if (i.code >= 0) return arithmetic(t, f, i);
    if (n == "bra") {
      f.at = i.operands[0].index;
    } else if (n == "ld") {
      read(t, f, i);
    } else if (n == "st") {
      write(t, f, i);
    } else if ((n == "bar" && !i.has("warp")) || n == "barrier") {
      t.state = State::at_barrier;
    } else if (n == "shfl" || n == "mma" || n == "ldmatrix" || n == "vote" || (n == "bar" && i.has("warp"))) {
      t.state = State::in_warp;
    } else if (n == "ret" || n == "exit") {
      leave(t);
    } else if (n == "call") {
      call(t, f, i);
    } else if (n == "cp" && i.has("async")) {
      if (!i.has("commit_group") && !i.has("wait_group") && !i.has("wait_all")) copy(t, f, i);
      ++f.at;
    } else if (n == "atom" || n == "red") {
      atomic(t, f, i);
    } else {
      refuse(i, "is not interpreted");
    }
  }

  // Values of operands, as bits of at most 64.
  std::uint64_t value(Thread& t, Frame& f, const Instruction& i, const Operand& o) {
    switch (o.place) {
      case Place::reg: return f.registers[static_cast<std::size_t>(o.index)];
      case Place::predicate: return (f.predicates[static_cast<std::size_t>(o.index)] != 0) != o.negated;
      case Place::immediate: return o.value;
      case Place::special: return special(t, o.index);
      case Place::label: return reinterpret_cast<std::uint64_t>(named(f, i, o.symbol));
      case Place::vector: {  // packed, the first part lowest
        std::uint64_t v = 0;
        const int width = 8 * bytes_of(i.type) / static_cast<int>(o.parts.size());
        for (std::size_t k = o.parts.size(); k-- > 0;) v = (width < 64 ? v << width : 0) | (value(t, f, i, o.parts[k]) & (width < 64 ? (1ull << width) - 1 : ~0ull));
        return v;
      }
      default: refuse(i, "an operand is not understood");
    }
  }

  void put(Frame& f, const Instruction& i, const Operand& o, std::uint64_t v) {
    if (o.place == Place::reg) {
      f.registers[static_cast<std::size_t>(o.index)] = v;
    } else if (o.place == Place::predicate) {
      f.predicates[static_cast<std::size_t>(o.index)] = v != 0;
    } else if (o.place == Place::vector) {
      const int width = 8 * bytes_of(i.type) / static_cast<int>(o.parts.size());
      for (std::size_t k = 0; k < o.parts.size(); ++k) put(f, i, o.parts[k], v >> (width * static_cast<int>(k)) & ((1ull << width) - 1));
    } else if (o.place != Place::label || o.symbol != "_") {
      refuse(i, "cannot write there");
    }
  }

  std::uint64_t special(const Thread& t, int index) const {
    const std::size_t axis = static_cast<std::size_t>(index) % 3;
    switch (index / 3) {
      case 0: return t.place[axis];
      case 1: return grid_.threads[axis];
      case 2: return place_[axis];
      case 3: return grid_.blocks[axis];
      default: return t.lane;
    }
  }

  // Shared memory begins at 0; all else is where the host has it.
  unsigned char* named(Frame& f, const Instruction& i, const std::string& name) {
    if (auto slot = f.function->slots.find(name); slot != f.function->slots.end()) return f.slots.data() + slot->second;
    if (auto local = f.function->locals.find(name); local != f.function->locals.end()) return f.local.data() + local->second;
    if (auto data = module_.data.find(name); data != module_.data.end()) return const_cast<unsigned char*>(data->second.data());
    if (name.find("shared") != std::string::npos) return nullptr;
    refuse(i, "does not know ", name);
  }

  unsigned char* address(Thread& t, Frame& f, const Instruction& i, const Operand& o, bool shared, int bytes) {
    Operand base = o;
    base.place = o.symbol.empty() ? (o.index >= 0 ? Place::reg : Place::immediate) : Place::label;
    std::uint64_t at = base.place == Place::immediate ? o.value : value(t, f, i, base) + o.value;
    if (!shared && (at < first_page || at >> 47 != 0)) refuse(i, "accesses what cannot be an address, ", at);
    if (!shared) return reinterpret_cast<unsigned char*>(at);
    at &= 0xffffffffu;
    if (at + static_cast<std::uint64_t>(bytes) > shared_.size()) refuse(i, "accesses shared memory at ", at, " of ", shared_.size());
    return shared_.data() + at;
  }

  void read(Thread& t, Frame& f, const Instruction& i) {
    const int bytes = bytes_of(i.type);
    const bool is_signed = i.type == Type::s8 || i.type == Type::s16 || i.type == Type::s32;  // into a wider register, too
    const unsigned char* from = address(t, f, i, i.operands[1], i.has(Mark::shared), bytes * i.width);
    const Operand& to = i.operands[0];
    for (int k = 0; k < i.width; ++k) put(f, i, i.width == 1 ? to : to.parts[static_cast<std::size_t>(k)], load(from + k * bytes, bytes, is_signed));
    ++f.at;
  }

  void write(Thread& t, Frame& f, const Instruction& i) {
    const int bytes = bytes_of(i.type);
    unsigned char* to = address(t, f, i, i.operands[0], i.has(Mark::shared), bytes * i.width);
    const Operand& from = i.operands[1];
    for (int k = 0; k < i.width; ++k) {
      const std::uint64_t v = value(t, f, i, i.width == 1 ? from : from.parts[static_cast<std::size_t>(k)]);
      std::memcpy(to + k * bytes, &v, static_cast<std::size_t>(bytes));
    }
    ++f.at;
  }

  void copy(Thread& t, Frame& f, const Instruction& i) {  // cp.async: bytes beyond the fourth operand are zeros
    const auto bytes = static_cast<int>(value(t, f, i, i.operands[2]));
    const auto taken = i.operands.size() > 3 ? static_cast<std::size_t>(value(t, f, i, i.operands[3]) & 0xffffffffu) : static_cast<std::size_t>(bytes);
    unsigned char* to = address(t, f, i, i.operands[0], true, bytes);
    std::memset(to, 0, static_cast<std::size_t>(bytes));
    if (taken > 0) std::memcpy(to, address(t, f, i, i.operands[1], false, bytes), std::min(taken, static_cast<std::size_t>(bytes)));
  }

  void atomic(Thread& t, Frame& f, const Instruction& i) {
    const bool returns = i.name == "atom";
    const int bytes = bytes_of(i.from);
    unsigned char* at = address(t, f, i, i.operands[returns ? 1 : 0], i.has(Mark::shared), bytes);
    const std::uint64_t v = value(t, f, i, i.operands[returns ? 2 : 1]);
    static std::mutex* one = new std::mutex;
    std::lock_guard lock(*one);
    const std::uint64_t old = load(at, bytes, false);
    const bool is_signed = i.from == Type::s32;
    const bool less = is_signed ? static_cast<std::int32_t>(v) < static_cast<std::int32_t>(old) : v < old;
    if (!i.has("add") && !i.has("min") && !i.has("max")) refuse(i, "is not interpreted");
    const std::uint64_t result = i.has("add") ? old + v : i.has("min") == less ? v : old;
    std::memcpy(at, &result, static_cast<std::size_t>(bytes));
    if (returns) put(f, i, i.operands[0], old);
    ++f.at;
  }

  void arithmetic(Thread& t, Frame& f, const Instruction& i) {
    Inputs in;
    std::uint64_t* const places[] = {&in.a, &in.b, &in.c, &in.d};
    const bool with_predicate = i.name == "selp" || (i.name == "setp" && i.operands.size() == 4);
    const std::size_t last = i.operands.size() - (with_predicate ? 1 : 0);
    if (last > 5) refuse(i, "has too many operands");
    for (std::size_t k = 1; k < last; ++k) *places[k - 1] = value(t, f, i, i.operands[k]);
    if (with_predicate) in.p = value(t, f, i, i.operands.back()) != 0;
    if (i.type == Type::pred) return logic(f, i, in);
    in.carry = t.carry;
    const Output out = compute(i, in);
    t.carry = out.carry;
    put(f, i, i.operands[0], i.name == "setp" ? out.flag : out.value);
    if (i.operands[0].second >= 0) refuse(i, "has two results");
    ++f.at;
  }

  void logic(Frame& f, const Instruction& i, const Inputs& in) {
    const bool a = in.a != 0, b = in.b != 0;
    const bool r = i.name == "and" ? a && b : i.name == "or" ? a || b : i.name == "xor" ? a != b : i.name == "not" ? !a : a;
    if (i.name != "and" && i.name != "or" && i.name != "xor" && i.name != "not" && i.name != "mov") refuse(i, "is not interpreted for predicates");
    put(f, i, i.operands[0], r);
    ++f.at;
  }

  void call(Thread& t, Frame& f, const Instruction& i) {  // (results), name, (parameters)
    if (i.operands.size() != 3) refuse(i, "is a call without results");
    auto callee = module_.functions.find(i.operands[1].symbol);
    if (callee == module_.functions.end()) refuse(i, "calls what is not in the module, ", i.operands[1].symbol);
    Frame next(callee->second);
    for (std::size_t p = 0; p < callee->second.parameters.size(); ++p) {
      const Parameter& to = callee->second.parameters[p];
      std::memcpy(next.slots.data() + callee->second.slots.at(to.name), named(f, i, i.operands[2].parts[p].symbol), static_cast<std::size_t>(to.bytes));
    }
    t.frames.push_back(std::move(next));
  }

  void leave(Thread& t) {
    if (t.frames.size() == 1) {
      t.state = State::done;
      return;
    }
    const Frame done = std::move(t.frames.back());
    t.frames.pop_back();
    const Instruction& i = t.instruction();
    for (std::size_t r = 0; r < done.function->results.size(); ++r) {
      const Parameter& from = done.function->results[r];
      std::memcpy(named(t.frame(), i, i.operands[0].parts[r].symbol), done.slots.data() + done.function->slots.at(from.name), static_cast<std::size_t>(from.bytes));
    }
    ++t.frame().at;
  }

  // Lets the lanes of a warp that wait at the same instruction, all that its mask names, do it. False if they are not there.
  bool meet(std::size_t first) {
    const std::size_t end = std::min(first + warp_size, threads_.size());
    for (std::size_t leader = first; leader < end; ++leader) {
      Thread& t = threads_[leader];
      if (t.state != State::in_warp) continue;
      const Instruction& i = t.instruction();
      std::uint32_t mask = 0xffffffffu;
      if (i.name == "shfl" || i.name == "vote" || i.name == "bar") mask = static_cast<std::uint32_t>(value(t, t.frame(), i, i.operands.back()));
      bool all = true;
      std::vector<Thread*> lanes(warp_size, nullptr);
      for (std::size_t k = first; k < end; ++k) {
        if (!(mask >> (k - first) & 1u)) continue;
        Thread& other = threads_[k];
        if (other.state == State::done && i.name != "mma" && i.name != "ldmatrix") refuse(i, "an exited lane is in the mask");
        all = all && other.state == State::in_warp && &other.instruction() == &i;
        lanes[k - first] = &other;
      }
      if (!all) continue;
      together(i, lanes);
      for (Thread* lane : lanes)
        if (lane) lane->state = State::running, ++lane->frame().at;
      return true;
    }
    return false;
  }

  void together(const Instruction& i, const std::vector<Thread*>& lanes) {
    count_ += warp_size;
    if (i.name == "shfl") return shuffle(i, lanes);
    if (i.name == "vote") return vote(i, lanes);
    if (i.name == "bar") return;
    for (Thread* lane : lanes)
      if (!lane) refuse(i, "wants a whole warp");
    i.name == "mma" ? multiply(i, lanes) : load_matrices(i, lanes);
  }

  void shuffle(const Instruction& i, const std::vector<Thread*>& lanes) {
    std::vector<std::uint64_t> shown(warp_size, 0), got(warp_size, 0);
    for (std::size_t k = 0; k < warp_size; ++k)
      if (lanes[k]) shown[k] = value(*lanes[k], lanes[k]->frame(), i, i.operands[1]);
    for (std::size_t k = 0; k < warp_size; ++k) {
      if (!lanes[k]) continue;
      const auto b = static_cast<int>(value(*lanes[k], lanes[k]->frame(), i, i.operands[2]) & 31);
      const auto c = static_cast<int>(value(*lanes[k], lanes[k]->frame(), i, i.operands[3]));
      const int segment = c >> 8 & 31, lane = static_cast<int>(k), most = (lane & segment) | ((c & 31) & ~segment), least = lane & segment;
      int from = i.has("up") ? lane - b : i.has("down") ? lane + b : i.has("bfly") ? lane ^ b : least | (b & ~segment);
      const bool inside = i.has("up") ? from >= most : from <= most;
      if (!inside) from = lane;
      if (!lanes[static_cast<std::size_t>(from)]) refuse(i, "reads a lane outside of its mask");
      got[k] = shown[static_cast<std::size_t>(from)];
      if (i.operands[0].second >= 0) lanes[k]->frame().predicates[static_cast<std::size_t>(i.operands[0].second)] = inside;
    }
    for (std::size_t k = 0; k < warp_size; ++k)
      if (lanes[k]) put(lanes[k]->frame(), i, [&] { Operand o = i.operands[0]; o.second = -1; return o; }(), got[k]);
  }

  void vote(const Instruction& i, const std::vector<Thread*>& lanes) {
    std::uint32_t votes = 0, present = 0;
    for (std::size_t k = 0; k < warp_size; ++k)
      if (lanes[k]) {
        present |= 1u << k;
        if (value(*lanes[k], lanes[k]->frame(), i, i.operands[1]) != 0) votes |= 1u << k;
      }
    const std::uint64_t result = i.has("ballot") ? votes : i.has("any") ? votes != 0 : i.has("all") ? votes == present : refuse_vote(i);
    for (Thread* lane : lanes)
      if (lane) put(lane->frame(), i, i.operands[0], result);
  }
  [[noreturn]] std::uint64_t refuse_vote(const Instruction& i) const { refuse(i, "is not interpreted"); }

  // The fragments as the PTX manual draws them: which element of A, B and C a lane's registers hold.
  void multiply(const Instruction& i, const std::vector<Thread*>& lanes) {
    const bool bf16 = i.has("m16n8k16") && i.has("bf16");
    if (!bf16 && !(i.has("m16n8k8") && i.has("tf32"))) refuse(i, "this shape is not interpreted");
    const int depth = bf16 ? 16 : 8;
    std::vector<double> a(16 * 16), b(16 * 8);
    auto part = [&](Thread* t, int operand, int k) { return value(*t, t->frame(), i, i.operands[static_cast<std::size_t>(operand)].parts[static_cast<std::size_t>(k)]); };
    for (int lane = 0; lane < 32; ++lane) {
      Thread* t = lanes[static_cast<std::size_t>(lane)];
      const int group = lane / 4, in_group = lane % 4;
      for (int k = 0; k < 4; ++k)
        for (int e = 0; e < (bf16 ? 2 : 1); ++e) {
          const int row = group + k % 2 * 8, column = bf16 ? in_group * 2 + e + k / 2 * 8 : in_group + k / 2 * 4;
          a[static_cast<std::size_t>(row * depth + column)] = bf16 ? low_half(part(t, 1, k), e) : number(part(t, 1, k) & 0xffffe000u);
        }
      for (int k = 0; k < 2; ++k)
        for (int e = 0; e < (bf16 ? 2 : 1); ++e) {
          const int row = bf16 ? in_group * 2 + e + k * 8 : in_group + k * 4;
          b[static_cast<std::size_t>(row * 8 + group)] = bf16 ? low_half(part(t, 2, k), e) : number(part(t, 2, k) & 0xffffe000u);
        }
    }
    for (int lane = 0; lane < 32; ++lane) {
      Thread* t = lanes[static_cast<std::size_t>(lane)];
      std::array<float, 4> sums{};
      for (int k = 0; k < 4; ++k) {
        const int row = lane / 4 + k / 2 * 8, column = lane % 4 * 2 + k % 2;
        double sum = number(part(t, 3, k));
        for (int d = 0; d < depth; ++d) sum += a[static_cast<std::size_t>(row * depth + d)] * b[static_cast<std::size_t>(d * 8 + column)];
        sums[static_cast<std::size_t>(k)] = static_cast<float>(sum);
      }
      for (int k = 0; k < 4; ++k)
        put(t->frame(), i, i.operands[0].parts[static_cast<std::size_t>(k)], std::bit_cast<std::uint32_t>(sums[static_cast<std::size_t>(k)]));
    }
  }

  void load_matrices(const Instruction& i, const std::vector<Thread*>& lanes) {  // of 8 x 8 numbers of 16 bits
    const int count = i.has("x4") ? 4 : i.has("x2") ? 2 : 1;
    std::vector<std::uint16_t> m(static_cast<std::size_t>(count) * 64);
    for (int lane = 0; lane < count * 8; ++lane) {
      Thread& t = *lanes[static_cast<std::size_t>(lane)];
      std::memcpy(&m[static_cast<std::size_t>(lane) * 8], address(t, t.frame(), i, i.operands[1], true, 16), 16);
    }
    for (int lane = 0; lane < 32; ++lane)
      for (int k = 0; k < count; ++k) {
        std::uint32_t pair = 0;
        for (int e = 0; e < 2; ++e) {
          const int row = i.has("trans") ? lane % 4 * 2 + e : lane / 4, column = i.has("trans") ? lane / 4 : lane % 4 * 2 + e;
          pair |= static_cast<std::uint32_t>(m[static_cast<std::size_t>(k * 64 + row * 8 + column)]) << (16 * e);
        }
        put(lanes[static_cast<std::size_t>(lane)]->frame(), i, i.operands[0].parts[static_cast<std::size_t>(k)], pair);
      }
  }

  const Module& module_;
  const Function& kernel_;
  const Grid& grid_;
  const std::array<unsigned, 3> place_;
  std::vector<unsigned char> shared_;  // starts as NaN
  std::vector<Thread> threads_;
  std::int64_t count_ = 0;
};

}  // namespace

std::int64_t executed() { return total.load(std::memory_order_relaxed); }

void run(const Module& module, const Function& kernel, const Grid& grid, const std::vector<const void*>& arguments) {
  if (arguments.size() != kernel.parameters.size())
    fail(Errc::internal, kernel.name, "takes ", kernel.parameters.size(), " parameters, the launch has ", arguments.size());
  const std::int64_t count = std::int64_t{grid.blocks[0]} * grid.blocks[1] * grid.blocks[2];
  parallel_blocks(count, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t b = first; b < last; ++b) {
      const auto i = static_cast<std::uint64_t>(b);
      Block(module, kernel, grid, arguments,
            {static_cast<unsigned>(i % grid.blocks[0]), static_cast<unsigned>(i / grid.blocks[0] % grid.blocks[1]),
             static_cast<unsigned>(i / (std::uint64_t{grid.blocks[0]} * grid.blocks[1]))})
          .run();
    }
  });
}

}  // namespace g2s::ptx
