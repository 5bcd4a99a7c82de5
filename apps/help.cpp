#include "apps/help.h"

#include <algorithm>
#include <sstream>

#include "engine/error.h"

namespace g2s::app {
namespace {

constexpr std::size_t text_column = 26;  // where descriptions begin

// "-o, --out DIR"; without a short name the long one stands below those that have one.
std::string title_of(const OptionEntry& o) {
  if (o.is_argument()) return o.value();
  return (o.short_name.empty() ? "    " : o.short_name + ", ") + o.long_name + (o.placeholder.empty() ? "" : " " + o.value());
}

std::string remarks_of(const OptionEntry& o) {
  std::string out;
  if (o.required) out = "required";
  if (!o.default_value.empty() && !o.placeholder.empty()) out += str(out.empty() ? "" : ", ", "default: ", o.default_value);
  return out.empty() ? "" : " (" + out + ")";
}

std::string row(const std::string& title, const std::string& text) {
  std::string out = "  " + title;
  if (out.size() + 2 > text_column) out += '\n' + std::string(text_column, ' ');
  else out += std::string(text_column - out.size(), ' ');
  return out + wrapped(text, help_width - text_column, text_column) + '\n';
}

std::string rows(const std::string& title, const std::vector<OptionEntry>& options) {
  std::string out = "\n" + title + ":\n";
  for (const OptionEntry& o : options) out += row(title_of(o), o.description + remarks_of(o));
  return out;
}

// "gan2shape trace [OPTIONS] --out FILE FILE"
std::string usage_of(const CommandEntry& command) {
  std::string out = "gan2shape " + command.name + " [OPTIONS]";
  for (const OptionEntry& o : command.options)
    if (o.required) out += " " + o.long_name + " " + o.value();
  for (const OptionEntry& a : command.arguments) out += a.required ? " " + a.value() : " [" + a.value() + "]";
  return out;
}

std::vector<OptionEntry> of_group(const CommandEntry& command, const std::string& group) {
  std::vector<OptionEntry> out;
  std::copy_if(command.options.begin(), command.options.end(), std::back_inserter(out), [&](const OptionEntry& o) { return o.group == group; });
  return out;
}

std::string exit_code_text() {
  std::string out = "Exit codes:";
  for (const ExitCode& e : exit_codes) out += str(e.code == 0 ? " " : "; ", e.code, " ", e.meaning);
  return out + ".";
}

// Without what roff would take for its own: a word with a dot before it may come to begin a line.
std::string roff(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((text[i] == '.' || text[i] == '\'') && (i == 0 || text[i - 1] == ' ')) out += "\\&";
    out += text[i] == '-' ? "\\-" : text[i] == '\\' ? "\\e" : std::string(1, text[i]);
  }
  return out;
}

std::string paragraph(const std::string& text) { return wrapped(roff(text), 78, 0) + "\n"; }

std::string bold(const std::string& text) { return "\\fB" + roff(text) + "\\fR"; }
std::string italic(const std::string& text) { return "\\fI" + roff(text) + "\\fR"; }

std::string man_header(const std::string& page, const std::string& description) {
  std::string upper = page;
  std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return std::toupper(c); });
  return str(".TH ", roff(upper), " 1 \"\" \"gan2shape " G2S_VERSION "\" \"User Commands\"\n.SH NAME\n", roff(page), " \\- ", roff(description), "\n");
}

std::string man_title(const OptionEntry& o) {
  if (o.is_argument()) return italic(o.value());
  const std::string names = (o.short_name.empty() ? "" : bold(o.short_name) + ", ") + bold(o.long_name);
  return o.placeholder.empty() ? names : names + " " + italic(o.value());
}

std::string man_rows(const std::vector<OptionEntry>& options) {
  std::string out;
  for (const OptionEntry& o : options) out += ".TP\n" + man_title(o) + "\n" + paragraph(o.description + remarks_of(o) + ".");
  return out;
}

std::string man_exit_codes() {
  std::string out = ".SH EXIT STATUS\n";
  for (const ExitCode& e : exit_codes) out += str(".TP\n.B ", e.code, "\n", roff(e.meaning), ".\n");
  return out;
}

}  // namespace

const ExitCode exit_codes[4] = {{0, "done"},
                                {1, "failed, and standard error says why"},
                                {2, "the command line is wrong"},
                                {130, "interrupted, by Ctrl-C or a signal"}};

std::string wrapped(const std::string& text, std::size_t width, std::size_t indent) {
  std::istringstream words(text);
  std::string out;
  std::size_t used = 0;
  for (std::string word; words >> word;) {
    if (used > 0 && used + 1 + word.size() > width) {
      out += '\n' + std::string(indent, ' ');
      used = 0;
    }
    out += (used > 0 ? " " : "") + word;
    used += (used > 0) + word.size();
  }
  return out;
}

std::string program_help(const CLI::App& program) {
  std::string out = wrapped(program.get_description(), help_width, 0) + "\n\nUsage: gan2shape COMMAND [OPTIONS] ...\n\nCommands:\n";
  for (const CommandEntry& c : commands_of(program)) out += row(c.name, c.description);
  out += rows("Options", entry_of(program).options) + "\n" + wrapped(exit_code_text(), help_width, 0) + "\n";
  return out + "`gan2shape COMMAND --help` explains a command.\n";
}

std::string command_help(const CLI::App& command) {
  const CommandEntry entry = entry_of(command);
  std::string out = wrapped(entry.description, help_width, 0) + ".\n\nUsage: " + usage_of(entry) + "\n";
  if (!entry.arguments.empty()) out += rows("Arguments", entry.arguments);
  for (const std::string& group : entry.groups()) out += rows(group, of_group(entry, group));
  return out;
}

std::string program_man_page(const CLI::App& program) {
  std::string out = man_header("gan2shape", "from one picture to a relightable 3D mesh");
  out += ".SH SYNOPSIS\n.B gan2shape\n" + italic("COMMAND") + " [" + italic("OPTIONS") + "] ...\n.SH DESCRIPTION\n" + paragraph(program.get_description());
  out += ".SH COMMANDS\n";
  for (const CommandEntry& c : commands_of(program)) out += ".TP\n" + bold(c.name) + "\n" + paragraph(c.description + ".");
  out += ".SH OPTIONS\n" + man_rows(entry_of(program).options) + man_exit_codes() + ".SH SEE ALSO\n";
  const auto commands = commands_of(program);
  for (const CommandEntry& c : commands) out += ".BR gan2shape\\-" + c.name + " (1)" + (&c == &commands.back() ? "" : ",") + "\n";
  return out;
}

std::string command_man_page(const CommandEntry& command) {
  std::string out = man_header("gan2shape-" + command.name, command.description);
  out += ".SH SYNOPSIS\n" + bold(usage_of(command)) + "\n.SH DESCRIPTION\n" + paragraph(command.description + ".");
  if (!command.arguments.empty()) out += ".SH ARGUMENTS\n" + man_rows(command.arguments);
  out += ".SH OPTIONS\n";
  for (const std::string& group : command.groups()) out += ".SS " + roff(group) + "\n" + man_rows(of_group(command, group));
  return out + man_exit_codes() + ".SH SEE ALSO\n.BR gan2shape (1)\n";
}

}  // namespace g2s::app
