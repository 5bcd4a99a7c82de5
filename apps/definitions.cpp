#include "apps/definitions.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "engine/error.h"

namespace g2s::app {
namespace {

constexpr std::size_t short_list = 26;  // characters of values that stand beside the option

struct NamedPart {
  Part part;
  const char* title;
};
constexpr NamedPart parts[] = {{Part::input, "Input"}, {Part::fit, "Fit"}, {Part::results, "Results"}, {Part::machine, "Machine"}, {Part::messages, "Messages"}};

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> out;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(at, begin), text.size());
    out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

bool has_word(const std::string& placeholder, std::initializer_list<const char*> words) {
  for (std::string word : split(placeholder, '|'))
    for (const char* wanted : words)
      if (word == wanted) return true;
  return false;
}

// All of the text.
template <class Number>
bool reads(const std::string& text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

CLI::Validator checked(std::function<std::string(const std::string&)> complaint, const std::string& shown_values = {}) {
  return CLI::Validator([complaint](std::string& text) { return complaint(text); }, shown_values);
}

}  // namespace

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : between) + word;
  return out;
}

bool OptionEntry::takes_file() const { return has_word(placeholder, {"FILE", "IMAGE", "PICTURE", "IN... OUT"}); }
bool OptionEntry::takes_folder() const { return has_word(placeholder, {"DIR", "OUT"}); }

std::string OptionEntry::value() const {
  if (placeholder.find_first_of("abcdefghijklmnopqrstuvwxyz") != std::string::npos) return placeholder;  // says it itself
  const std::string list = joined(values, "|");
  if (!values.empty() && list.size() <= short_list) return list;
  return many && placeholder.find("...") == std::string::npos ? placeholder + "..." : placeholder;
}

std::vector<std::string> CommandEntry::groups() const {
  std::vector<std::string> out;
  for (const NamedPart& p : parts)
    if (std::any_of(options.begin(), options.end(), [&](const OptionEntry& o) { return o.group == p.title; })) out.push_back(p.title);
  for (const OptionEntry& o : options)
    if (std::find(out.begin(), out.end(), o.group) == out.end()) out.push_back(o.group);
  return out;
}

OptionEntry entry_of(const CLI::Option& option) {
  OptionEntry out;
  if (!option.get_snames().empty()) out.short_name = "-" + option.get_snames().front();
  if (!option.get_lnames().empty()) out.long_name = "--" + option.get_lnames().front();
  // CLI11 gives the placeholder and, after a colon, what the validators say of themselves: the values of one_of().
  const std::string type = option.get_type_name();
  const std::size_t colon = type.rfind(':');
  const bool flag = option.get_items_expected_max() == 0;
  if (!flag) out.placeholder = type.substr(0, colon);
  if (!flag && colon != std::string::npos) out.values = split(type.substr(colon + 1), '|');
  out.description = option.get_description();
  out.default_value = option.get_default_str();
  out.group = option.get_group();
  out.required = option.get_required();
  out.many = option.get_items_expected_max() > 1;
  return out;
}

CommandEntry entry_of(const CLI::App& command) {
  CommandEntry out{command.get_name(), command.get_description(), {}, {}};
  for (const CLI::Option* option : command.get_options())
    (option->get_positional() ? out.arguments : out.options).push_back(entry_of(*option));
  // What help itself is comes last.
  std::stable_partition(out.options.begin(), out.options.end(), [](const OptionEntry& o) { return o.long_name != "--help"; });
  return out;
}

std::vector<CommandEntry> commands_of(const CLI::App& program) {
  std::vector<CommandEntry> out;
  for (const CLI::App* command : program.get_subcommands([](const CLI::App* c) { return !c->get_group().empty(); })) out.push_back(entry_of(*command));
  return out;
}

void group(CLI::App& command, Part part, std::initializer_list<const char*> options) {
  for (const NamedPart& p : parts)
    if (p.part == part)
      for (const char* name : options) command.get_option(name)->group(p.title);
}

CLI::Validator one_of(const std::vector<std::string>& values, bool (*other)(const std::string&), const char* others) {
  const std::string known = joined(values, ", ") + (other ? str(", ", others) : "");
  return checked(
      [=](const std::string& text) {
        const bool right = std::find(values.begin(), values.end(), text) != values.end() || (other && other(text));
        return right ? "" : str("'", text, "' is none of ", known);
      },
      joined(values, "|"));
}

CLI::Validator whole_number(std::uint64_t least, std::uint64_t most) {
  return checked([least, most](const std::string& text) {
    const bool negative = text.size() > 1 && text[0] == '-' && text.find_first_not_of("0123456789", 1) == std::string::npos;
    std::uint64_t value = 0;
    if (!negative && !reads(text, value)) return str("'", text, "' is not a whole number");
    return !negative && value >= least && value <= most ? "" : str(text, " is not between ", least, " and ", most);
  });
}

CLI::Validator number(double least, double most) {
  return checked([least, most](const std::string& text) {
    double value = 0;
    if (!reads(text, value)) return str("'", text, "' is not a number");
    return value >= least && value <= most ? "" : str(text, " is not between ", least, " and ", most);
  });
}

CLI::Validator positive_number() {
  return checked([](const std::string& text) {
    double value = 0;
    return reads(text, value) && std::isfinite(value) && value > 0 ? "" : str("'", text, "' is not a positive number");
  });
}

CLI::Validator readable(void (*parse)(const std::string&)) {
  return checked([parse](const std::string& text) -> std::string {
    try {
      parse(text);
      return {};
    } catch (const Error& e) {
      return e.message();
    }
  });
}

}  // namespace g2s::app
