// gan2shape: runs what the command line asks for, turns errors into one sentence and an exit code (apps/help.cpp lists those).
#include <csignal>
#include <iostream>
#include <new>

#include "apps/command_line.h"
#include "apps/commands.h"
#include "apps/settings.h"
#include "engine/error.h"
#include "engine/shown.h"

namespace {

using namespace g2s;
using namespace g2s::app;

extern "C" void on_interrupt(int) { interrupt_command(); }

void install_signals() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGXFSZ, SIG_IGN);  // a file-size limit is an error of write(), like a full disk
}

int complain(const std::string& text, int code) {
  std::cerr << "gan2shape: " << shown(text) << std::endl;
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    install_signals();
    int code = run_command_line(argc, argv);
    std::cout.flush();
    if (!std::cout) return complain("standard output: cannot be written", exit_error);
    return code;
  } catch (const Error& e) {
    return complain(message_of(e), e.code() == Errc::cancelled ? exit_interrupted : exit_error);
  } catch (const std::bad_alloc&) {
    return complain("out of memory", exit_error);
  } catch (const std::exception& e) {
    return complain(str("internal error: ", e.what()), exit_error);
  }
}
