// Completion of commands, options and values in shells, from the declared commands.
#pragma once

#include <string>

#include "apps/definitions.h"

namespace g2s::app {

std::string bash_completion(const CLI::App& program);
std::string zsh_completion(const CLI::App& program);
std::string fish_completion(const CLI::App& program);

}  // namespace g2s::app
