// The commands and options as the program declares them, for what is written from them: help, completions, man pages, messages.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace g2s::app {

struct OptionEntry {
  std::string short_name;           // -o, or nothing
  std::string long_name;            // --out; of an argument nothing
  std::string placeholder;          // DIR; of a flag nothing
  std::vector<std::string> values;  // if it takes one of a list
  std::string description, default_value, group;
  bool required = false, many = false;

  bool is_argument() const { return long_name.empty(); }
  // FILE, IN or IMAGE: what a shell completes as the name of a file. A folder is DIR or OUT.
  bool takes_file() const;
  bool takes_folder() const;
  std::string name() const { return is_argument() ? placeholder : long_name; }
  // IMAGE..., DIR or draft|standard|paper where that is short.
  std::string value() const;
};

struct CommandEntry {
  std::string name, description;
  std::vector<OptionEntry> arguments, options;
  std::vector<std::string> groups() const;  // of the options, in the order of help
};

std::string joined(const std::vector<std::string>& words, const char* between = " ");

OptionEntry entry_of(const CLI::Option& option);
CommandEntry entry_of(const CLI::App& command);
// The commands of the program that help lists.
std::vector<CommandEntry> commands_of(const CLI::App& program);

// Which part of the help an option stands in.
enum class Part { input, fit, results, machine, messages };
// Names of options that were declared before.
void group(CLI::App& command, Part part, std::initializer_list<const char*> options);

// What a value must be. It is checked as the command line is read; one_of's values are in help, completions and man pages. `other` says whether a
// text is right too that is none of them, such as cuda:1 for `others` cuda:N.
CLI::Validator one_of(const std::vector<std::string>& values, bool (*other)(const std::string&) = nullptr, const char* others = "");
CLI::Validator whole_number(std::uint64_t least, std::uint64_t most);
CLI::Validator number(double least, double most);
CLI::Validator positive_number();
// `parse` throws Error naming what is wrong.
CLI::Validator readable(void (*parse)(const std::string&));

}  // namespace g2s::app
