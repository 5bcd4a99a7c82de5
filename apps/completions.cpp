#include "apps/completions.h"

#include <algorithm>

#include "engine/error.h"

namespace g2s::app {
namespace {

// In single quotes, as a shell reads it: bash and zsh end the quotes for a quote, fish escapes it.
std::string shell_text(const std::string& text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}
std::string fish_text(const std::string& text) {
  std::string out = "'";
  for (char c : text) out += (c == '\'' || c == '\\' ? "\\" : "") + std::string(1, c);
  return out + "'";
}

std::string escaped(const std::string& text, const char* special) {
  std::string out;
  for (char c : text) out += (std::string(special).find(c) != std::string::npos ? "\\" : "") + std::string(1, c);
  return out;
}

// What fits beside a name in a list.
std::string in_short(const std::string& text) {
  constexpr std::size_t most = 72;
  if (text.size() <= most) return text;
  return text.substr(0, text.rfind(' ', most - 4)) + " ...";
}

std::vector<std::string> names_of(const OptionEntry& o) {
  return o.short_name.empty() ? std::vector{o.long_name} : std::vector{o.short_name, o.long_name};
}

std::vector<std::string> all_names(const CommandEntry& command) {
  std::vector<std::string> out;
  for (const OptionEntry& o : command.options)
    for (const std::string& name : names_of(o)) out.push_back(name);
  return out;
}

std::vector<std::string> names_of(const std::vector<CommandEntry>& commands) {
  std::vector<std::string> out;
  for (const CommandEntry& c : commands) out.push_back(c.name);
  return out;
}

// What stands after an option: its values, files, folders, or nothing that can be known.
std::string bash_value(const OptionEntry& o) {
  if (!o.values.empty()) return "_gan2shape_words " + shell_text(joined(o.values));
  if (o.takes_file()) return "_gan2shape_files -f";
  return o.takes_folder() ? "_gan2shape_files -d" : ":";
}

std::string bash_command(const CommandEntry& command) {
  std::string out = "    " + command.name + ")\n      case $before in\n";
  for (const OptionEntry& o : command.options)
    if (!o.placeholder.empty()) out += "        " + joined(names_of(o), "|") + ") " + bash_value(o) + "; return ;;\n";
  out += "      esac\n      case $word in\n        -*) _gan2shape_words " + shell_text(joined(all_names(command))) + " ;;\n";
  if (!command.arguments.empty()) out += "        *) " + bash_value(command.arguments.front()) + " ;;\n";
  return out + "      esac ;;\n";
}

std::string zsh_action(const OptionEntry& o) {
  if (!o.values.empty()) return "(" + joined(o.values) + ")";
  if (o.takes_file()) return "_files";
  return o.takes_folder() ? "_files -/" : " ";
}

// '(-o --out)'{-o,--out}'[Folder for the results]:DIR:_files -/'
std::string zsh_option(const OptionEntry& o) {
  std::string rest = "[" + escaped(in_short(o.description), "[]:\\") + "]";
  if (!o.placeholder.empty()) rest += ":" + escaped(o.placeholder, ":\\") + ":" + zsh_action(o);
  if (o.short_name.empty()) return shell_text(o.long_name + rest);
  const auto names = names_of(o);
  return shell_text("(" + joined(names) + ")") + "{" + joined(names, ",") + "}" + shell_text(rest);
}

std::string zsh_command(const CommandEntry& command) {
  std::string out = "        " + command.name + ")\n          _arguments -s";
  for (const OptionEntry& o : command.options) out += " \\\n            " + zsh_option(o);
  for (const OptionEntry& a : command.arguments)
    out += " \\\n            " + shell_text(str(a.many ? "*" : "", ":", escaped(a.placeholder, ":\\"), ":", zsh_action(a)));
  return out + " ;;\n";
}

std::string fish_value(const OptionEntry& o) {
  if (o.placeholder.empty()) return "";
  if (!o.values.empty()) return " -x -a " + fish_text(joined(o.values));
  if (o.takes_file()) return " -r -F";
  return o.takes_folder() ? " -x -a '(__fish_complete_directories)'" : " -x";
}

std::string fish_option(const std::string& condition, const OptionEntry& o) {
  const std::string short_name = o.short_name.empty() ? "" : " -s " + o.short_name.substr(1);
  return "complete -c gan2shape -n " + condition + short_name + " -l " + o.long_name.substr(2) + fish_value(o) + " -d " +
         fish_text(in_short(o.description)) + "\n";
}

constexpr const char* written_by = " completion of gan2shape, written by the program itself when it was built.\n";

}  // namespace

std::string bash_completion(const CLI::App& program) {
  const auto commands = commands_of(program);
  const CommandEntry all = entry_of(program);
  std::string out = str("# bash", written_by);
  out += R"(_gan2shape_words() { COMPREPLY=($(compgen -W "$1" -- "$word")); }
_gan2shape_files() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen "$1" -- "$word")
}
_gan2shape() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= i
  COMPREPLY=()
  if [ "$word" = = ]; then word=; fi
  if [ "$before" = = ]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case ${COMP_WORDS[i]} in -*) ;; *) command=${COMP_WORDS[i]}; break ;; esac
  done
  case $command in
)";
  out += "    '') _gan2shape_words " + shell_text(joined(names_of(commands)) + " " + joined(all_names(all))) + " ;;\n";
  for (const CommandEntry& c : commands) out += bash_command(c);
  return out + "  esac\n}\ncomplete -F _gan2shape gan2shape\n";
}

std::string zsh_completion(const CLI::App& program) {
  const auto commands = commands_of(program);
  std::string out = str("#compdef gan2shape\n# zsh", written_by);
  out += "_gan2shape() {\n  local curcontext=\"$curcontext\" state line\n  local -a commands\n  _arguments -C";
  for (const OptionEntry& o : entry_of(program).options) out += " \\\n    " + zsh_option(o);
  out += " \\\n    '1:command:->command' \\\n    '*::argument:->argument'\n  case $state in\n    command)\n      commands=(\n";
  for (const CommandEntry& c : commands) out += "        " + shell_text(c.name + ":" + escaped(in_short(c.description), ":\\")) + "\n";
  out += "      )\n      _describe command commands ;;\n    argument)\n      case $words[1] in\n";
  for (const CommandEntry& c : commands) out += zsh_command(c);
  out += "      esac ;;\n  esac\n}\n";
  // Read by `source` it is declared, found by the shell itself it is called.
  return out + "if [ \"$funcstack[1]\" = _gan2shape ]; then _gan2shape \"$@\"; else compdef _gan2shape gan2shape; fi\n";
}

std::string fish_completion(const CLI::App& program) {
  std::string out = str("# fish", written_by, "complete -c gan2shape -f\n");
  for (const OptionEntry& o : entry_of(program).options) out += fish_option("__fish_use_subcommand", o);
  for (const CommandEntry& c : commands_of(program)) {
    out += "complete -c gan2shape -n __fish_use_subcommand -a " + c.name + " -d " + fish_text(in_short(c.description)) + "\n";
    const std::string condition = fish_text("__fish_seen_subcommand_from " + c.name);
    for (const OptionEntry& o : c.options) out += fish_option(condition, o);
    for (const OptionEntry& a : c.arguments)
      if (a.takes_file() || a.takes_folder())
        out += "complete -c gan2shape -n " + condition + (a.takes_file() ? " -F\n" : " -a '(__fish_complete_directories)'\n");
  }
  return out;
}

}  // namespace g2s::app
