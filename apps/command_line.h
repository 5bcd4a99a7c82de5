// The whole command line: which commands there are, and what runs when one is given.
#pragma once

namespace g2s::app {

constexpr int exit_error = 1, exit_usage = 2, exit_interrupted = 130;

// Parses it and runs the command. Returns the exit code: what is wrong with the command line is said on standard error. Throws what the command
// throws.
int run_command_line(int argc, char** argv);

}  // namespace g2s::app
