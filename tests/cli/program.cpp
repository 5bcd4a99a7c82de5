#include "tests/cli/program.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "engine/error.h"
#include "engine/files.h"
#include "engine/hash.h"

namespace g2s::test {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void become_program(const std::vector<std::string>& arguments, const RunOptions& options, int out, int err) {
  ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  if (options.file_limit > 0) {
    rlimit limit{options.file_limit, options.file_limit};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  if (options.program.empty()) ::setenv("G2S_SIMT_MACHINE", "devices=0", 1);  // where the program itself is built with the emulator
  for (const std::string& setting : options.settings) {
    const std::size_t split = setting.find('=');
    ::setenv(setting.substr(0, split).c_str(), setting.substr(split + 1).c_str(), 1);
  }
  const char* program = options.program.empty() ? G2S_PROGRAM : options.program.c_str();
  std::vector<char*> argv = {const_cast<char*>(program)};
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  if (::chdir(options.folder.c_str()) == 0) ::execv(program, argv.data());
  ::_exit(127);
}

}  // namespace

Outcome run_program(const std::vector<std::string>& arguments, const RunOptions& options) {
  int out[2], err[2];
  if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) fail(Errc::internal, "run_program", "no pipe");
  const pid_t child = ::fork();
  if (child == 0) become_program(arguments, options, out[1], err[1]);
  ::close(out[1]);
  ::close(err[1]);
  Outcome outcome;
  bool interrupted = options.interrupt_at.empty();
  pollfd ends[2] = {{out[0], POLLIN, 0}, {err[0], POLLIN, 0}};
  while (ends[0].fd >= 0 || ends[1].fd >= 0) {
    ::poll(ends, 2, -1);
    for (int i = 0; i < 2; ++i) {
      if (ends[i].fd < 0 || ends[i].revents == 0) continue;
      char buffer[4096];
      const ssize_t n = ::read(ends[i].fd, buffer, sizeof buffer);
      if (n > 0) {
        (i == 0 ? outcome.out : outcome.err).append(buffer, static_cast<std::size_t>(n));
      } else {
        ::close(ends[i].fd);
        ends[i].fd = -1;
      }
    }
    if (!interrupted && outcome.err.find(options.interrupt_at) != std::string::npos) {
      ::kill(child, SIGINT);
      interrupted = true;
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

TemporaryFolder::TemporaryFolder() : path_(temporary_name((fs::temp_directory_path() / "g2s_cli").string())) { make_folders(path_); }

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::vector<std::pair<std::string, std::string>> file_hashes(const std::string& folder) {
  std::vector<std::pair<std::string, std::string>> hashes;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file() || entry.path().filename() == "result.json") continue;
    hashes.emplace_back(fs::relative(entry.path(), folder).string(), sha256_file(entry.path().string()));
  }
  std::sort(hashes.begin(), hashes.end());
  return hashes;
}

std::vector<std::string> entries(const std::string& folder) {
  std::vector<std::string> names;
  if (!fs::exists(folder)) return names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace g2s::test
