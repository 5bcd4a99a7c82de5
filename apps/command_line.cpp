#include "apps/command_line.h"

#include <iostream>
#include <map>

#include "apps/commands.h"
#include "apps/completions.h"
#include "apps/help.h"
#include "apps/usage.h"
#include "engine/files.h"
#include "engine/shown.h"

namespace g2s::app {
namespace {

using Commands = std::map<const CLI::App*, Command>;

// For the build, which installs what it writes: hidden from help.
Command add_write_help(CLI::App& app, const CLI::App& program) {
  const auto folder = std::make_shared<std::string>();
  app.group("");
  app.add_option("folder", *folder, "The folder share of a prefix")->type_name("DIR")->required();
  return [folder, &program] {
    const std::pair<const char*, std::string> files[] = {{"bash-completion/completions/gan2shape", bash_completion(program)},
                                                         {"zsh/site-functions/_gan2shape", zsh_completion(program)},
                                                         {"fish/vendor_completions.d/gan2shape.fish", fish_completion(program)},
                                                         {"man/man1/gan2shape.1", program_man_page(program)}};
    for (const char* below : {"bash-completion/completions", "zsh/site-functions", "fish/vendor_completions.d", "man/man1"})
      make_folders(*folder + "/" + below);
    for (const auto& [name, text] : files) write_file(*folder + "/" + name, text);
    for (const CommandEntry& c : commands_of(program)) write_file(*folder + "/man/man1/gan2shape-" + c.name + ".1", command_man_page(c));
    return 0;
  };
}

void declare_commands(CLI::App& app, Commands& commands) {
  app.require_subcommand(1);
  app.set_help_flag("-h,--help", "Print this help");
  app.set_version_flag("--version", program_version, "Print the version");
  app.formatter_fn([&app](const CLI::App* shown, std::string, CLI::AppFormatMode) { return shown == &app ? program_help(app) : command_help(*shown); });
  auto add = [&](const char* name, const char* description, Command (*declare)(CLI::App&)) {
    CLI::App* command = app.add_subcommand(name, description);
    commands[command] = declare(*command);
    group(*command, Part::messages, {"--help"});
  };
  add("reconstruct", "Fit a 3D shape to pictures and export meshes, views and relit views", add_reconstruct);
  add("generate", "Draw pictures with the generator", add_generate);
  add("faces", "Find the faces in pictures: draw them, write them as JSON, cut them out upright", add_faces);
  add("evaluate", "Compare reconstructions with true depth", add_evaluate);
  add("trace", "Compute one iteration of each step from a description, to compare with another implementation", add_trace);
  add("prior", "Learn once what every fit with a generator starts from: its ellipsoids, or how it turns heads (preset ffhq)", add_prior);
  add("convert", "Make weights of a checkpoint: PyTorch, NVIDIA's pickles, ONNX, OpenVINO, TFLite, numpy or safetensors", add_convert);
  add("info", "Tell about the program, its assets, and checkpoints or pictures", add_info);
  CLI::App* write_help = app.add_subcommand("write-help", "Write completions and man pages");
  commands[write_help] = add_write_help(*write_help, app);
}

int complain(const std::string& text) {
  std::cerr << "gan2shape: " << shown(text) << std::endl;
  return exit_usage;
}

}  // namespace

int run_command_line(int argc, char** argv) {
  CLI::App app("From one picture to a relightable 3D mesh, with the knowledge of a picture generator (GAN2Shape).", "gan2shape");
  Commands commands;
  declare_commands(app, commands);
  if (argc == 1) {
    std::cout << app.help();
    return 0;
  }
  if (const std::string unknown = unknown_command(app, argc, argv); !unknown.empty()) return complain(unknown);
  try {
    app.parse(argc, argv);
    return commands.at(app.get_subcommands().front())();
  } catch (const CLI::Success& e) {  // help or the version was asked for
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    return complain(usage_error(app, e));
  }
}

}  // namespace g2s::app
