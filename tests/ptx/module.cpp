#include "tests/ptx/module.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <iterator>
#include <sstream>

#include "engine/error.h"
#include "tests/ptx/arithmetic.h"

namespace g2s::ptx {
namespace {

const std::map<std::string, Type> type_names = {
    {"pred", Type::pred}, {"u8", Type::u8},   {"u16", Type::u16}, {"u32", Type::u32}, {"u64", Type::u64}, {"s8", Type::s8},         {"s16", Type::s16},
    {"s32", Type::s32},   {"s64", Type::s64}, {"b8", Type::b8},   {"b16", Type::b16}, {"b32", Type::b32}, {"b64", Type::b64},       {"b128", Type::b128},
    {"f32", Type::f32},   {"f64", Type::f64}, {"bf16x2", Type::bf16x2}, {"tf32", Type::tf32}};

const char* const mark_names[] = {"ftz", "sat", "rm", "rp", "rz", "wide", "hi", "cc", "shared"};
static_assert(std::size(mark_names) == static_cast<std::size_t>(Mark::count));

const char* const specials[] = {"%tid.x", "%tid.y", "%tid.z", "%ntid.x", "%ntid.y", "%ntid.z", "%ctaid.x", "%ctaid.y", "%ctaid.z",
                                "%nctaid.x", "%nctaid.y", "%nctaid.z", "%laneid"};

std::string trimmed(const std::string& s) {
  std::size_t a = 0, b = s.size();
  while (a < b && std::isspace(static_cast<unsigned char>(s[a]))) ++a;
  while (b > a && std::isspace(static_cast<unsigned char>(s[b - 1]))) --b;
  return s.substr(a, b - a);
}

std::vector<std::string> split(const std::string& s, char by) {  // outside of braces and brackets
  std::vector<std::string> parts;
  std::string part;
  int depth = 0;
  for (char c : s) {
    if (c == '{' || c == '[' || c == '(') ++depth;
    if (c == '}' || c == ']' || c == ')') --depth;
    if (c == by && depth == 0) parts.push_back(trimmed(part)), part.clear();
    else part += c;
  }
  if (!trimmed(part).empty() || !parts.empty()) parts.push_back(trimmed(part));
  return parts;
}

class Parser {
 public:
  Parser(const std::string& path, const std::string& text) : text_(text) { module_.path = path; }

  Module run() {
    while (true) {
      const std::string head = until("{;");
      if (at_ >= text_.size() && trimmed(head).empty()) break;
      const char end = text_[at_ - 1];
      if (head.find(".entry") != std::string::npos || head.find(".func") != std::string::npos) {
        if (end == '{') function(head);
      } else if (end == '{') {
        table(head);
      }
    }
    return std::move(module_);
  }

 private:
  template <class... Parts> [[noreturn]] void refuse(const Parts&... what) const { fail(Errc::format, module_.path, "line ", line_, ": ", what...); }

  // Text up to one of `ends`, which is skipped; comments are dropped.
  std::string until(const char* ends) {
    std::string out;
    while (at_ < text_.size()) {
      if (text_.compare(at_, 2, "//") == 0) {
        at_ = std::min(text_.find('\n', at_), text_.size());
        continue;
      }
      const char c = text_[at_++];
      if (c == '\n') {
        ++line_;
        // Lines of the head of a file, such as .version, end without a mark.
        if (const std::string t = trimmed(out); t.rfind(".version", 0) == 0 || t.rfind(".target", 0) == 0 || t.rfind(".address_size", 0) == 0) out.clear();
      }
      if (std::string(ends).find(c) != std::string::npos) return out;
      out += c;
    }
    return out;
  }

  void table(const std::string& head) {  // .global .align 4 .b8 name[24] = {..};
    std::istringstream values(until("}"));
    until(";");
    const std::size_t bracket = head.find('[');
    if (bracket == std::string::npos || head.find(".b8") == std::string::npos) refuse("a table that is not of bytes");
    const std::string name = trimmed(head.substr(0, bracket)).substr(trimmed(head.substr(0, bracket)).find_last_of(" \t") + 1);
    auto& bytes = module_.data[name];
    for (std::string v; std::getline(values, v, ',');) bytes.push_back(static_cast<unsigned char>(std::stoi(v)));
    bytes.resize(static_cast<std::size_t>(std::stoi(head.substr(bracket + 1))));
  }

  std::vector<Parameter> parameters(const std::string& list) {
    std::vector<Parameter> out;
    for (const std::string& item : split(list, ',')) {
      if (item.empty()) continue;
      std::istringstream words(item);
      Parameter p;
      for (std::string w; words >> w;) {
        if (w == ".align") words >> p.align;
        else if (w[0] != '.') p.name = w;
        else if (auto t = type_names.find(w.substr(1)); t != type_names.end()) p.bytes = bytes_of(t->second);
        else if (w != ".param" && w != ".local") refuse("a parameter that is not understood: ", item);
      }
      const std::size_t bracket = p.name.find('[');
      if (bracket != std::string::npos) {
        p.bytes = std::stoi(p.name.substr(bracket + 1));
        p.name.resize(bracket);
      } else {
        p.align = p.bytes;
      }
      out.push_back(p);
    }
    return out;
  }

  void slot(Function& f, const Parameter& p) {
    f.slot_bytes = (f.slot_bytes + 15) / 16 * 16;
    f.slots.emplace(p.name, f.slot_bytes);
    f.slot_bytes += p.bytes;
  }

  void function(const std::string& head) {
    Function f;
    f.entry = head.find(".entry") != std::string::npos;
    std::string rest = head.substr(head.find(f.entry ? ".entry" : ".func") + (f.entry ? 6 : 5));
    if (trimmed(rest)[0] == '(') {
      const std::size_t end = rest.find(')');
      f.results = parameters(rest.substr(rest.find('(') + 1, end - rest.find('(') - 1));
      rest = rest.substr(end + 1);
    }
    const std::size_t open = rest.find('('), close = rest.find(')');
    f.name = trimmed(rest.substr(0, open));
    if (open != std::string::npos) f.parameters = parameters(rest.substr(open + 1, close - open - 1));
    for (const auto& p : f.parameters) slot(f, p);
    for (const auto& p : f.results) slot(f, p);
    registers_.clear();
    predicates_.clear();
    labels_.clear();
    body(f);
    for (Instruction& i : f.code)
      for (Operand& o : i.operands)
        if (o.place == Place::label && i.name == "bra") {
          if (!labels_.count(o.symbol)) refuse("no label ", o.symbol);
          o.index = labels_[o.symbol];
        }
    f.registers = static_cast<int>(registers_.size());
    f.predicates = static_cast<int>(predicates_.size());
    module_.functions[f.name] = std::move(f);
  }

  void body(Function& f) {
    int depth = 1, inner = 0;
    std::string text;
    while (depth > 0) {
      if (at_ >= text_.size()) refuse("the function ", f.name, " has no end");
      if (text_.compare(at_, 2, "//") == 0) {
        at_ = std::min(text_.find('\n', at_), text_.size());
        continue;
      }
      const char c = text_[at_++];
      if (c == '\n') ++line_;
      const bool fresh = trimmed(text).empty();
      if (fresh && (c == '{' || c == '}')) {
        depth += c == '{' ? 1 : -1;
        text.clear();
      } else if (c == ';' && inner == 0) {
        statement(f, trimmed(text));
        text.clear();
      } else if (c == ':' && inner == 0 && trimmed(text)[0] == '$') {
        labels_[trimmed(text)] = static_cast<int>(f.code.size());
        text.clear();
      } else {
        inner += c == '{' || c == '(' || c == '[' ? 1 : c == '}' || c == ')' || c == ']' ? -1 : 0;
        text += c;
      }
    }
  }

  void statement(Function& f, const std::string& text) {
    if (text.rfind(".reg", 0) == 0 || text.rfind(".pragma", 0) == 0) return;
    if (text.rfind(".local", 0) == 0) {
      const Parameter p = parameters(text).at(0);
      f.local_bytes = (f.local_bytes + 15) / 16 * 16;
      f.locals[p.name] = f.local_bytes;
      f.local_bytes += p.bytes;
      return;
    }
    if (text.rfind(".param", 0) == 0) return slot(f, parameters(text).at(0));
    if (text[0] == '.') refuse("a directive that is not known: ", text);
    f.code.push_back(instruction(f, text));
  }

  Instruction instruction(const Function& f, std::string text) {
    Instruction i;
    i.line = line_;
    if (text[0] == '@') {
      const std::size_t space = text.find_first_of(" \t");
      const std::string guard = text.substr(1, space - 1);
      i.guard_negated = guard[0] == '!';
      i.guard = number(predicates_, guard.substr(i.guard_negated ? 1 : 0));
      text = trimmed(text.substr(space));
    }
    const std::size_t space = text.find_first_of(" \t\n");
    std::istringstream parts(text.substr(0, space));
    std::getline(parts, i.name, '.');
    for (std::string m; std::getline(parts, m, '.');) {
      i.modifiers.push_back(m);
      if (m == "v2") i.width = 2;
      if (m == "v4") i.width = 4;
      for (std::size_t k = 0; k < std::size(mark_names); ++k)
        if (m == mark_names[k]) i.marks |= 1u << k;
      if (auto t = type_names.find(m); t != type_names.end()) {
        if (i.type == Type::none) i.type = i.from = t->second;
        else i.from = t->second;
      }
    }
    if (space == std::string::npos) return i;
    i.code = code_of(i);
    i.relation = relation_of(i);
    for (const std::string& o : split(text.substr(space), ',')) i.operands.push_back(operand(f, o));
    return i;
  }

  int number(std::map<std::string, int>& of, const std::string& name) { return of.emplace(name, static_cast<int>(of.size())).first->second; }
  bool predicate_name(const std::string& s) const { return s.rfind("%p", 0) == 0 && s.size() > 2 && std::isdigit(static_cast<unsigned char>(s[2])); }

  Operand operand(const Function& f, const std::string& s) {
    Operand o;
    if (s.empty()) refuse("an empty operand");
    if (s[0] == '{' || s[0] == '(') {
      o.place = Place::vector;
      for (const std::string& part : split(s.substr(1, s.size() - 2), ',')) o.parts.push_back(operand(f, part));
    } else if (s[0] == '[') {
      o = operand(f, trimmed(s.substr(1, s.size() - 2).substr(0, s.find('+') == std::string::npos ? std::string::npos : s.find('+') - 1)));
      if (const std::size_t plus = s.find('+'); plus != std::string::npos) o.value = static_cast<std::uint64_t>(std::stoll(s.substr(plus + 1)));
      o.place = Place::address;
    } else if (s[0] == '!') {
      o = operand(f, s.substr(1));
      o.negated = true;
    } else if (s.find('|') != std::string::npos) {
      o = operand(f, s.substr(0, s.find('|')));
      o.second = operand(f, s.substr(s.find('|') + 1)).index;
    } else if (auto at = std::find(std::begin(specials), std::end(specials), s); at != std::end(specials)) {
      o.place = Place::special;
      o.index = static_cast<int>(at - std::begin(specials));
    } else if (s[0] == '%') {
      o.place = predicate_name(s) ? Place::predicate : Place::reg;
      o.index = number(predicate_name(s) ? predicates_ : registers_, s);
    } else if (s.rfind("0f", 0) == 0 || s.rfind("0d", 0) == 0) {
      o.place = Place::immediate;
      o.value = std::stoull(s.substr(2), nullptr, 16);
    } else if (std::isdigit(static_cast<unsigned char>(s[0])) || s[0] == '-') {
      o.place = Place::immediate;
      o.value = s[0] == '-' ? static_cast<std::uint64_t>(std::stoll(s, nullptr, 0)) : std::stoull(s, nullptr, 0);
    } else {
      o.place = Place::label;  // or the name of something in memory
      o.symbol = s;
    }
    return o;
  }

  const std::string& text_;
  std::size_t at_ = 0;
  int line_ = 1;
  Module module_;
  std::map<std::string, int> registers_, predicates_, labels_;
};

}  // namespace

int bytes_of(Type type) {
  switch (type) {
    case Type::u8: case Type::s8: case Type::b8: return 1;
    case Type::u16: case Type::s16: case Type::b16: return 2;
    case Type::u32: case Type::s32: case Type::b32: case Type::f32: case Type::bf16x2: case Type::tf32: return 4;
    case Type::b128: return 16;
    case Type::none: case Type::pred: return 1;
    default: return 8;
  }
}

bool Instruction::has(const char* modifier) const { return std::find(modifiers.begin(), modifiers.end(), modifier) != modifiers.end(); }

Module parse(const std::string& path, const std::string& text) { return Parser(path, text).run(); }

}  // namespace g2s::ptx
