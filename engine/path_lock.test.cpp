#include "engine/path_lock.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>

#include "engine/error.h"
#include "engine/files.h"
#include "tests/cli/program.h"

using namespace g2s;
using namespace g2s::test;

namespace {

// A process that holds the lock until it is killed.
pid_t holding_process(const std::string& path) {
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const PathLock lock(path);
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  ::close(ready[0]);
  ::close(ready[1]);
  return child;
}

void kill_hard(pid_t child) {
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

}  // namespace

TEST_CASE("path lock: one holder at a time, in one process as between two; it leaves nothing") {
  const TemporaryFolder folder;
  const std::string path = folder / "result";
  {
    const PathLock mine(path + "/");
    CHECK(mine.held());
    CHECK(entries(folder.path()) == std::vector<std::string>{"result.lock"});
    const std::string who = str(path, ": process ", ::getpid(), " on ");
    CHECK_THROWS_WITH_AS(PathLock{path}, doctest::Contains(who.c_str()), Error);
    CHECK_THROWS_WITH_AS(PathLock{path}, doctest::Contains("is working on it"), Error);
    const PathLock other(folder / "other");
    CHECK(other.held());
  }
  CHECK(entries(folder.path()).empty());
  CHECK_THROWS_WITH_AS(PathLock{"/proc/none/x"}, doctest::Contains("/proc/none/x.lock: cannot be written"), Error);
}

TEST_CASE("path lock: it dies with its process, even of SIGKILL") {
  const TemporaryFolder folder;
  const std::string path = folder / "result";
  const pid_t child = holding_process(path);
  const std::string who = str("process ", child, " on ");
  CHECK_THROWS_WITH_AS(PathLock{path}, doctest::Contains(who.c_str()), Error);
  kill_hard(child);
  CHECK(entries(folder.path()) == std::vector<std::string>{"result.lock"});
  const PathLock mine(path);
  CHECK(mine.held());
  CHECK(read_file(path + ".lock") != who);
}

TEST_CASE("leftovers of killed processes go, other files stay") {
  const TemporaryFolder folder;
  for (const char* name : {"a.12-0.tmp", "a.state.1-22.tmp", "a.tmp", "a.x-1.tmp", "a.1-2-3.tmp", "ab.1-0.tmp"}) std::ofstream(folder / name) << "x";
  make_folders(folder / "a.7-3.tmp/views");
  remove_leftovers(folder / "a");
  CHECK(entries(folder.path()) == std::vector<std::string>{"a.1-2-3.tmp", "a.state.1-22.tmp", "a.tmp", "a.x-1.tmp", "ab.1-0.tmp"});
}
