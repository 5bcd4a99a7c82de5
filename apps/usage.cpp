#include "apps/usage.h"

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "apps/definitions.h"
#include "engine/error.h"

namespace g2s::app {
namespace {

// How many letters are to be changed, left out, put in, or changed with their neighbour, to make one word the other.
std::size_t edits(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  std::iota(d[0].begin(), d[0].end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i)
    for (std::size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      const bool turned = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (turned) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

std::string see_help(const CLI::App& program, const CLI::App& command) {
  return str(" (see gan2shape ", &command == &program ? "" : command.get_name() + " ", "--help)");
}

bool is_command(const CLI::App& program, const std::string& word) {
  return !program.get_subcommands([&](const CLI::App* command) { return command->get_name() == word; }).empty();
}

bool looks_like_option(const std::string& word) { return word.size() > 1 && word[0] == '-'; }

bool has_option(const std::vector<std::string>& words) { return std::any_of(words.begin(), words.end(), looks_like_option); }

// The command that was named, or else the program: it has no options but its own.
const CLI::App& command_at_fault(const CLI::App& program) {
  const auto commands = program.get_subcommands();
  return commands.empty() || has_option(program.remaining()) ? program : *commands.front();
}

std::string unknown_option(const CLI::App& program, const CLI::App& command, const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  std::vector<std::string> known;
  for (const OptionEntry& option : entry_of(command).options) known.push_back(option.long_name);
  const std::string meant = nearest(name, known);
  const char* where = &command == &program ? "; options stand behind the command" : "";
  return name + ": no such option" + (meant.empty() ? where : "; did you mean " + meant + "?");
}

// What is required and not there, by the names that help has.
std::string missing_arguments(const CLI::App& command) {
  std::string out;
  for (const CLI::Option* option : command.get_options())
    if (option->get_required() && option->count() == 0) out += (out.empty() ? "" : " and ") + entry_of(*option).name();
  return out;
}

// CLI11 names an argument as the code does.
const CLI::Option* option_of(const CLI::App& command, const std::string& message) {
  return command.get_option_no_throw(message.substr(0, message.find(':')));
}

std::string sentence(const CLI::App& program, const CLI::App& command, const CLI::ParseError& error) {
  const std::vector<std::string> extras = command.remaining();
  const auto extra = std::find_if(extras.begin(), extras.end(), looks_like_option);
  if (extra != extras.end()) return unknown_option(program, command, *extra);
  if (dynamic_cast<const CLI::RequiredError*>(&error)) {
    if (&command == &program) return "no command is given";
    if (const std::string missing = missing_arguments(command); !missing.empty())
      return missing + (missing.find(" and ") == std::string::npos ? " is missing" : " are missing");
  }
  if (dynamic_cast<const CLI::ExtrasError*>(&error) && !extras.empty()) return extras.front() + ": is one argument too many";
  if (const CLI::Option* option = option_of(command, error.what()); option && dynamic_cast<const CLI::ArgumentMismatch*>(&error)) {
    const OptionEntry entry = entry_of(*option);
    if (entry.is_argument()) return str(entry.value(), ": at least ", option->get_items_expected_min(), " are needed");
    if (!entry.placeholder.empty()) return entry.long_name + ": its value is missing: " + entry.value();
  }
  return error.what();
}

}  // namespace

std::string nearest(const std::string& word, const std::vector<std::string>& known) {
  const std::size_t letters = word.size() - std::min(word.find_first_not_of('-'), word.size());
  std::string best;
  std::size_t fewest = word.size() / 3 + 1;  // so many make another word
  for (const std::string& k : known) {
    const bool begins = letters > 2 && k.rfind(word, 0) == 0;
    const std::size_t count = begins ? 1 : edits(word, k);
    if (count < fewest) {
      best = k;
      fewest = count;
    }
  }
  return best;
}

std::string unknown_command(const CLI::App& program, int argc, const char* const* argv) {
  const auto first = std::find_if(argv + 1, argv + argc, [](const char* word) { return !looks_like_option(word); });
  if (first == argv + argc || is_command(program, *first)) return {};
  std::vector<std::string> known;
  for (const CommandEntry& command : commands_of(program)) known.push_back(command.name);
  const std::string word = *first, meant = nearest(word, known);
  std::error_code ignored;
  if (meant.empty() && std::filesystem::is_regular_file(word, ignored))
    return word + ": no such command; did you mean gan2shape reconstruct " + word + "?";
  return word + ": no such command" + (meant.empty() ? " (see gan2shape --help)" : "; did you mean " + meant + "?");
}

std::string usage_error(const CLI::App& program, const CLI::ParseError& error) {
  const CLI::App& command = command_at_fault(program);
  return (&command == &program ? "" : command.get_name() + ": ") + sentence(program, command, error) + see_help(program, command);
}

}  // namespace g2s::app
