// What is wrong with a command line, and what may have been meant.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace g2s::app {

// The known word that is most like it: a letter wrong, left out, doubled or moved, more of them in a longer word. Empty if none is.
std::string nearest(const std::string& word, const std::vector<std::string>& known);

// "reconstrct: no such command; did you mean reconstruct?"; empty if the first word is a command, or there is none.
std::string unknown_command(const CLI::App& program, int argc, const char* const* argv);

// A sentence that names the option at fault and the help to look into.
std::string usage_error(const CLI::App& program, const CLI::ParseError& error);

}  // namespace g2s::app
