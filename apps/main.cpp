// gan2shape: parses the command line, runs one command, turns errors into one sentence and an exit code.
// Exit codes: 0 done, 1 an error that stderr explains, 2 a command line that cannot be understood, 130 interrupted.
#include <csignal>
#include <iostream>
#include <map>
#include <new>

#include "apps/commands.h"
#include "apps/settings.h"
#include "engine/error.h"
#include "engine/shown.h"

namespace {

using namespace g2s;
using namespace g2s::app;

constexpr int exit_error = 1, exit_usage = 2, exit_interrupted = 130;

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

int run(int argc, char** argv) {
  CLI::App app("From one picture to a relightable 3D mesh, with the knowledge of a picture generator (GAN2Shape).", "gan2shape");
  app.require_subcommand(1);
  app.set_version_flag("--version", program_version);
  app.footer("`gan2shape COMMAND --help` explains a command.");
  std::map<const CLI::App*, Command> commands;
  auto add = [&](const char* name, const char* description, Command (*declare)(CLI::App&)) {
    CLI::App* command = app.add_subcommand(name, description);
    commands[command] = declare(*command);
  };
  add("reconstruct", "Fit a 3D shape to pictures and export meshes, views and relit views", add_reconstruct);
  add("generate", "Draw pictures with the generator", add_generate);
  add("faces", "Find the faces in pictures: draw them, write them as JSON, cut them out upright", add_faces);
  add("evaluate", "Compare reconstructions with true depth", add_evaluate);
  add("trace", "Compute one iteration of each step from a description, to compare with another implementation", add_trace);
  add("prior", "Learn once what every fit with a generator starts from: its ellipsoids, or how it turns heads (preset ffhq)", add_prior);
  add("convert", "Make weights of a checkpoint: PyTorch, NVIDIA's pickles, ONNX, OpenVINO, TFLite, numpy or safetensors", add_convert);
  add("info", "Tell about the program, its assets, and checkpoints or pictures", add_info);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& e) {
    return app.exit(e);
  } catch (const CLI::CallForAllHelp& e) {
    return app.exit(e);
  } catch (const CLI::CallForVersion& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    return complain(str(e.what(), " (see gan2shape --help)"), exit_usage);
  }
  return commands.at(app.get_subcommands().front())();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    install_signals();
    int code = run(argc, argv);
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
