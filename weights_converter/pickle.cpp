#include "weights_converter/pickle.h"

#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <unordered_map>

#include "engine/error.h"
#include "weights_converter/numbers.h"
#include "weights_converter/pickle_globals.h"
#include "weights_converter/text.h"

namespace g2s::convert {
namespace {

using Kind = Value::Kind;

constexpr std::size_t stack_limit = 1u << 20;     // values and marks; real pickles stay below a few thousand
constexpr std::uint64_t short_text = 64u << 10;  // longer ones stay in the file

// One run over one pickle. The opcodes' names are those of Python's pickletools.
class Machine {
 public:
  Machine(ReadContext& context, const Bytes& bytes, std::uint64_t begin, Unpickled& out)
      : context_(context), builder_(context, out), bytes_(bytes), memory_(bytes.load()), at_(begin), out_(out) {
    none_ = builder_.make(Kind::none);
    true_ = builder_.make(Kind::boolean, true);
    false_ = builder_.make(Kind::boolean, false);
  }

  void run() {
    while (!done_) {
      context_.spend(1);
      const auto opcode = static_cast<unsigned char>(take(1)[0]);
      const Handler handler = handlers[opcode];
      if (!handler) builder_.bad("has the unknown opcode ", int{opcode}, " at byte ", at_ - 1);
      handler(*this);
    }
    out_.end = at_;
  }

 private:
  using Handler = void (*)(Machine&);
  static std::array<Handler, 256> make_handlers();
  static const std::array<Handler, 256> handlers;

  // The input.
  std::string_view take(std::uint64_t count) {
    if (at_ > memory_.size || count > memory_.size - at_) builder_.bad("is truncated at byte ", at_);
    std::string_view part(memory_.data + at_, count);
    at_ += count;
    return part;
  }
  std::uint64_t number(int bytes) {  // little-endian
    std::uint64_t value = 0;
    int shift = 0;
    for (char c : take(static_cast<std::uint64_t>(bytes))) value |= std::uint64_t{static_cast<unsigned char>(c)} << shift, shift += 8;
    return value;
  }
  std::string_view line() {
    const std::string_view rest(memory_.data + at_, memory_.size - at_);
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) builder_.bad("is truncated at byte ", at_);
    at_ += end + 1;
    context_.spend(end / 64);
    return rest.substr(0, end);
  }
  std::int64_t parse_integer(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) builder_.bad("has the malformed number '", printable(text), "'");
    return value;
  }

  // The stack.
  void push(const Value* v) {
    if (stack_.size() >= stack_limit) builder_.bad("needs a stack of more than ", stack_limit, " values: it is no checkpoint");
    stack_.push_back(v);
  }
  void require(std::size_t count) {
    const std::size_t floor = marks_.empty() ? 0 : marks_.back();
    if (stack_.size() - floor < count) builder_.bad("is malformed: its stack runs empty at byte ", at_);
  }
  const Value* pop() {
    require(1);
    const Value* v = stack_.back();
    stack_.pop_back();
    return v;
  }
  const Value* top() {
    require(1);
    return stack_.back();
  }
  List pop_to_mark() {
    if (marks_.empty()) builder_.bad("is malformed: a mark is missing at byte ", at_);
    List items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }
  List pop_list(std::size_t count) {
    require(count);
    List items(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return items;
  }
  void push_list(Kind kind, List items) {
    context_.arena->charge(items.size() * 2 * sizeof(void*));
    push(builder_.make(kind, std::move(items)));
  }

  // Values.
  void push_integer(std::int64_t v) { push(builder_.make(Kind::integer, v)); }
  void push_text(std::string_view text) {
    if (text.size() > short_text) return push(builder_.make(Kind::string, bytes_.slice(at_ - text.size(), text.size())));
    push(builder_.make(Kind::string, std::string(text)));
  }
  void push_unicode(std::uint64_t count) {
    const std::string_view text = take(count);
    if (!is_utf8(text)) builder_.bad("has a text that is not UTF-8 at byte ", at_);
    push_text(text);
  }
  void push_bytes(std::uint64_t count) {
    take(count);
    push(builder_.make(Kind::bytes, bytes_.slice(at_ - count, count)));
  }
  void push_long(std::uint64_t count) {
    const std::string_view digits = take(count);  // two's complement
    std::uint64_t value = !digits.empty() && (digits.back() & 0x80) ? ~std::uint64_t{0} : 0;
    if (count > 8) return push(builder_.make(Kind::big_integer, bytes_.slice(at_ - count, count)));
    if (!digits.empty()) std::memcpy(&value, digits.data(), digits.size());
    push_integer(static_cast<std::int64_t>(value));
  }
  void append(const Value* target, const List& items) {
    builder_.become(target, Kind::list);
    List* list = std::get_if<List>(&PickleBuilder::editable(target)->data);
    if (!list || (target->kind != Kind::list && target->kind != Kind::set)) builder_.bad("appends to something that is no list");
    context_.arena->charge(items.size() * 2 * sizeof(void*));
    list->insert(list->end(), items.begin(), items.end());
  }
  void set_items(const Value* target, const List& pairs) {
    builder_.become(target, Kind::dict);
    Dict* dict = std::get_if<Dict>(&PickleBuilder::editable(target)->data);
    if (!dict) builder_.bad("sets an item of something that is no dictionary");
    if (pairs.size() % 2 != 0) builder_.bad("has a dictionary key without its value");
    context_.arena->charge(pairs.size() * 2 * sizeof(void*));
    for (std::size_t i = 0; i < pairs.size(); i += 2) dict->emplace_back(pairs[i], pairs[i + 1]);
  }
  void remember(std::uint64_t index) {
    context_.arena->charge(8 * sizeof(void*));
    memo_[index] = top();
  }
  void recall(std::uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) builder_.bad("recalls value ", index, ", which it never stored");
    push(found->second);
  }
  const Value* tuple_of(List items) {
    context_.arena->charge(items.size() * 2 * sizeof(void*));
    return builder_.make(Kind::tuple, std::move(items));
  }

  // Opcodes that take more than a line.
  void op_int() {
    const std::string_view text = line();
    if (text == "00" || text == "01") return push(text == "01" ? true_ : false_);
    push_integer(parse_integer(text));
  }
  void op_long() {
    std::string_view text = line();
    if (!text.empty() && text.back() == 'L') text.remove_suffix(1);
    if (text.size() > 18) return push(builder_.make(Kind::big_integer, own_bytes(std::string(text.substr(0, 64)))));
    push_integer(parse_integer(text));
  }
  void op_float() {
    const std::string_view text = line();
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) builder_.bad("has the malformed number '", printable(text), "'");
    push(builder_.make(Kind::real, value));
  }
  void op_binfloat() {
    std::uint64_t bits = 0;
    for (char c : take(8)) bits = bits << 8 | static_cast<unsigned char>(c);
    push(builder_.make(Kind::real, std::bit_cast<double>(bits)));
  }
  void op_string();
  void op_unicode();
  void op_dict() {
    const List pairs = pop_to_mark();
    push(builder_.make(Kind::dict, Dict{}));
    set_items(stack_.back(), pairs);
  }
  void op_appends() {
    const List items = pop_to_mark();
    append(top(), items);
  }
  void op_setitems() {
    const List items = pop_to_mark();
    set_items(top(), items);
  }
  void op_append() {
    const List item = pop_list(1);
    append(top(), item);
  }
  void op_setitem() {
    const List pair = pop_list(2);
    set_items(top(), pair);
  }
  void op_reduce() {
    const List two = pop_list(2);
    push(builder_.construct(two[0], two[1]));
  }
  void op_newobj_ex() {
    const List three = pop_list(3);
    const bool plain = three[2]->dict() && three[2]->dict()->empty();
    if (!plain && !builder_.is_foreign(three[0])) builder_.bad("makes an object with keyword arguments");
    push(builder_.construct(three[0], three[1]));
  }
  void op_build() {
    const Value* state = pop();
    builder_.build(top(), state);
  }
  void op_inst() {
    const std::string_view module = line(), name = line();
    const Value* type = builder_.global(module, name);
    push(builder_.construct(type, tuple_of(pop_to_mark())));
  }
  void op_obj() {
    List items = pop_to_mark();
    if (items.empty()) builder_.bad("makes an object of no class");
    const Value* type = items.front();
    items.erase(items.begin());
    push(builder_.construct(type, tuple_of(std::move(items))));
  }
  void op_global() {
    const std::string_view module = line(), name = line();
    push(builder_.global(module, name));
  }
  void op_stack_global() {
    const List two = pop_list(2);
    if (!two[0]->string() || !two[1]->string()) builder_.bad("names a global by something that is no text");
    push(builder_.global(*two[0]->string(), *two[1]->string()));
  }
  void op_mark() {
    if (marks_.size() >= stack_limit) builder_.bad("has more than ", stack_limit, " marks: it is no checkpoint");
    marks_.push_back(stack_.size());
  }
  void op_pop() {
    if (!marks_.empty() && stack_.size() == marks_.back()) marks_.pop_back();
    else pop();
  }
  void op_proto() {
    const std::uint64_t protocol = number(1);
    if (protocol > 5) builder_.bad("has protocol ", protocol, "; 0 to 5 are known");
  }
  void op_stop() {
    out_.root = pop();
    if (!marks_.empty()) builder_.bad("ends in the middle of a value");
    done_ = true;
  }
  void op_persid() { builder_.bad("refers to something outside of it by a name: save it with a protocol above 0"); }
  void op_extension() { builder_.bad("uses the registry of extensions, which a checkpoint does not need"); }
  void op_buffer() { builder_.bad("has its data outside of the file (out-of-band buffers)"); }

  ReadContext& context_;
  PickleBuilder builder_;
  Bytes bytes_;
  Memory memory_;
  std::uint64_t at_;
  Unpickled& out_;
  bool done_ = false;
  std::vector<const Value*> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint64_t, const Value*> memo_;
  const Value *none_, *true_, *false_;
};

// Protocol 0 of Python 2: a quoted byte string with Python's escapes.
void Machine::op_string() {
  std::string_view text = line();
  if (text.size() < 2 || text.front() != text.back() || (text.front() != '\'' && text.front() != '"')) builder_.bad("has a malformed string");
  text = text.substr(1, text.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    static constexpr std::string_view letters = "ntr\\'\"", meanings = "\n\t\r\\'\"";
    const char c = text[++i];
    unsigned code = 0;
    if (c == 'x' && i + 2 < text.size() && std::from_chars(text.data() + i + 1, text.data() + i + 3, code, 16).ptr == text.data() + i + 3) {
      out += static_cast<char>(code);
      i += 2;
    } else if (const std::size_t k = letters.find(c); k != std::string_view::npos) {
      out += meanings[k];
    } else {
      builder_.bad("has a string with an unknown escape");
    }
  }
  context_.arena->charge(out.size());
  push(out.size() > short_text ? builder_.make(Kind::string, own_bytes(std::move(out))) : builder_.make(Kind::string, std::move(out)));
}

// Protocol 0: one line; characters beyond U+00FF, line breaks and backslashes as \uXXXX or \UXXXXXXXX, the others as latin1.
void Machine::op_unicode() {
  const std::string_view text = line();
  std::string out;
  auto low = [](unsigned code, int shift) { return static_cast<char>(0x80 | (code >> shift & 63)); };
  auto add = [&](unsigned c) {
    if (c < 0x80) out += static_cast<char>(c);
    else if (c < 0x800) out += {static_cast<char>(0xc0 | c >> 6), low(c, 0)};
    else if (c < 0x10000) out += {static_cast<char>(0xe0 | c >> 12), low(c, 6), low(c, 0)};
    else out += {static_cast<char>(0xf0 | (c >> 18 & 7)), low(c, 12), low(c, 6), low(c, 0)};
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned code = static_cast<unsigned char>(text[i]);
    const std::size_t digits = text[i] != '\\' || i + 1 == text.size() ? 0 : text[i + 1] == 'u' ? 4 : text[i + 1] == 'U' ? 8 : 0;
    if (digits > 0) {
      if (digits > text.size() - i - 2) builder_.bad("has a malformed text");
      const char *first = text.data() + i + 2, *last = first + digits;
      if (std::from_chars(first, last, code, 16).ptr != last) builder_.bad("has a malformed text");
      i += 1 + digits;
    }
    add(code);
  }
  context_.arena->charge(out.size());
  push(out.size() > short_text ? builder_.make(Kind::string, own_bytes(std::move(out))) : builder_.make(Kind::string, std::move(out)));
}

std::array<Machine::Handler, 256> Machine::make_handlers() {
  std::array<Handler, 256> h{};
  h['('] = [](Machine& m) { m.op_mark(); };
  h['.'] = [](Machine& m) { m.op_stop(); };
  h['0'] = [](Machine& m) { m.op_pop(); };
  h['1'] = [](Machine& m) { m.pop_to_mark(); };
  h['2'] = [](Machine& m) { m.push(m.top()); };
  h['F'] = [](Machine& m) { m.op_float(); };
  h['G'] = [](Machine& m) { m.op_binfloat(); };
  h['I'] = [](Machine& m) { m.op_int(); };
  h['J'] = [](Machine& m) { m.push_integer(static_cast<std::int32_t>(m.number(4))); };
  h['K'] = [](Machine& m) { m.push_integer(static_cast<std::int64_t>(m.number(1))); };
  h['L'] = [](Machine& m) { m.op_long(); };
  h['M'] = [](Machine& m) { m.push_integer(static_cast<std::int64_t>(m.number(2))); };
  h['N'] = [](Machine& m) { m.push(m.none_); };
  h['P'] = [](Machine& m) { m.op_persid(); };
  h['Q'] = [](Machine& m) { m.push(m.builder_.persistent(m.pop())); };
  h['R'] = [](Machine& m) { m.op_reduce(); };
  h['S'] = [](Machine& m) { m.op_string(); };
  h['T'] = [](Machine& m) { m.push_text(m.take(m.number(4))); };
  h['U'] = [](Machine& m) { m.push_text(m.take(m.number(1))); };
  h['V'] = [](Machine& m) { m.op_unicode(); };
  h['X'] = [](Machine& m) { m.push_unicode(m.number(4)); };
  h['a'] = [](Machine& m) { m.op_append(); };
  h['b'] = [](Machine& m) { m.op_build(); };
  h['c'] = [](Machine& m) { m.op_global(); };
  h['d'] = [](Machine& m) { m.op_dict(); };
  h['}'] = [](Machine& m) { m.push(m.builder_.make(Kind::dict, Dict{})); };
  h['e'] = [](Machine& m) { m.op_appends(); };
  h['g'] = [](Machine& m) { m.recall(static_cast<std::uint64_t>(m.parse_integer(m.line()))); };
  h['h'] = [](Machine& m) { m.recall(m.number(1)); };
  h['i'] = [](Machine& m) { m.op_inst(); };
  h['j'] = [](Machine& m) { m.recall(m.number(4)); };
  h['l'] = [](Machine& m) { m.push_list(Kind::list, m.pop_to_mark()); };
  h[']'] = [](Machine& m) { m.push_list(Kind::list, {}); };
  h['o'] = [](Machine& m) { m.op_obj(); };
  h['p'] = [](Machine& m) { m.remember(static_cast<std::uint64_t>(m.parse_integer(m.line()))); };
  h['q'] = [](Machine& m) { m.remember(m.number(1)); };
  h['r'] = [](Machine& m) { m.remember(m.number(4)); };
  h['s'] = [](Machine& m) { m.op_setitem(); };
  h['t'] = [](Machine& m) { m.push_list(Kind::tuple, m.pop_to_mark()); };
  h[')'] = [](Machine& m) { m.push_list(Kind::tuple, {}); };
  h['u'] = [](Machine& m) { m.op_setitems(); };
  h['B'] = [](Machine& m) { m.push_bytes(m.number(4)); };
  h['C'] = [](Machine& m) { m.push_bytes(m.number(1)); };
  h[0x80] = [](Machine& m) { m.op_proto(); };
  h[0x81] = [](Machine& m) { m.op_reduce(); };  // NEWOBJ
  h[0x82] = h[0x83] = h[0x84] = [](Machine& m) { m.op_extension(); };
  h[0x85] = [](Machine& m) { m.push_list(Kind::tuple, m.pop_list(1)); };
  h[0x86] = [](Machine& m) { m.push_list(Kind::tuple, m.pop_list(2)); };
  h[0x87] = [](Machine& m) { m.push_list(Kind::tuple, m.pop_list(3)); };
  h[0x88] = [](Machine& m) { m.push(m.true_); };
  h[0x89] = [](Machine& m) { m.push(m.false_); };
  h[0x8a] = [](Machine& m) { m.push_long(m.number(1)); };
  h[0x8b] = [](Machine& m) { m.push_long(m.number(4)); };
  h[0x8c] = [](Machine& m) { m.push_unicode(m.number(1)); };
  h[0x8d] = [](Machine& m) { m.push_unicode(m.number(8)); };
  h[0x8e] = [](Machine& m) { m.push_bytes(m.number(8)); };
  h[0x8f] = [](Machine& m) { m.push_list(Kind::set, {}); };
  h[0x90] = [](Machine& m) { m.op_appends(); };  // ADDITEMS
  h[0x91] = [](Machine& m) { m.push_list(Kind::set, m.pop_to_mark()); };
  h[0x92] = [](Machine& m) { m.op_newobj_ex(); };
  h[0x93] = [](Machine& m) { m.op_stack_global(); };
  h[0x94] = [](Machine& m) { m.remember(m.memo_.size()); };
  h[0x95] = [](Machine& m) { m.number(8); };      // FRAME: how much to read ahead
  h[0x96] = [](Machine& m) { m.push_bytes(m.number(8)); };
  h[0x97] = h[0x98] = [](Machine& m) { m.op_buffer(); };
  return h;
}

const std::array<Machine::Handler, 256> Machine::handlers = make_handlers();

}  // namespace

void ReadContext::spend(std::uint64_t work) {
  if (work > work_) fail(Errc::format, path, "asks for more work than a file of its length can need");
  work_ -= work;
}

Unpickled unpickle(ReadContext& context, const Bytes& bytes, std::uint64_t begin) {
  Unpickled out;
  Machine(context, bytes, begin, out).run();
  return out;
}

void bind_tensors(ReadContext& context, const Unpickled& unpickled) {
  for (const NamedStorage& s : unpickled.storages) {
    const std::uint64_t have = s.numbers->storage.size / size_of(s.numbers->type);
    const auto wanted = static_cast<std::uint64_t>(s.numbers->shape[0]);
    if (have < wanted) {
      fail(Errc::format, context.path, "storage ", printable(s.key), " has ", have, " numbers of ", to_string(s.numbers->type), ", but ", wanted,
           " belong to it");
    }
    s.numbers->storage = s.numbers->storage.slice(0, wanted * size_of(s.numbers->type));
  }
  for (const StorageView& v : unpickled.views) {
    const std::size_t size = size_of(v.view->type);
    v.view->storage = v.root->storage.slice(static_cast<std::uint64_t>(v.begin) * size, static_cast<std::uint64_t>(v.view->shape[0]) * size);
  }
  for (const Rebuilt& r : unpickled.tensors) {
    r.tensor->storage = r.storage->storage;
    check_bounds(*r.tensor);
  }
}

}  // namespace g2s::convert
