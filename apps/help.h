// What --help prints, and one man page a command, both from the declared commands.
#pragma once

#include <string>
#include <vector>

#include "apps/definitions.h"

namespace g2s::app {

constexpr std::size_t help_width = 100;

// The words of a text in lines of at most `width` characters, each but the first indented.
std::string wrapped(const std::string& text, std::size_t width, std::size_t indent);

std::string program_help(const CLI::App& program);
std::string command_help(const CLI::App& command);

// roff, for `man`.
std::string program_man_page(const CLI::App& program);
std::string command_man_page(const CommandEntry& command);

// What the exit codes mean, one sentence each.
struct ExitCode {
  int code;
  const char* meaning;
};
extern const ExitCode exit_codes[4];

}  // namespace g2s::app
