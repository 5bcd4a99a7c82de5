#include "engine/path_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/context.h"
#include "engine/error.h"
#include "engine/files.h"

namespace g2s {
namespace {

// Who holds a lock says so in its file.
std::string holder(int fd) {
  char text[256];
  const ssize_t n = ::pread(fd, text, sizeof text, 0);
  return n > 0 ? std::string(text, static_cast<std::size_t>(n)) : "another process";
}

std::string this_process() {
  char host[128] = {};
  ::gethostname(host, sizeof host - 1);
  return str("process ", ::getpid(), " on ", host);
}

// Whoever lets go removes the file. One that was opened before and locked after that keeps nobody away.
bool is_file_of(int fd, const std::string& path) {
  struct stat mine {}, there {};
  return ::fstat(fd, &mine) == 0 && ::stat(path.c_str(), &there) == 0 && mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;
}

bool no_locks(int error) { return error == ENOLCK || error == ENOSYS || error == EOPNOTSUPP || error == EINVAL; }

}  // namespace

PathLock::PathLock(const std::string& path) : file_(without_slash(path) + ".lock") {
  while (!held_) {
    fd_ = ::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd_ < 0) fail(Errc::io, file_, "cannot be written: ", std::strerror(errno));
    if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) {
      held_ = is_file_of(fd_, file_);
      if (held_) break;
      ::close(fd_);
      continue;
    }
    const int error = errno;
    if (no_locks(error)) break;
    const std::string who = holder(fd_);
    ::close(fd_);
    if (error != EWOULDBLOCK) fail(Errc::io, file_, "cannot be locked: ", std::strerror(error));
    fail(Errc::io, path, who, " is working on it");
  }
  if (!held_) Context::current().log(path + ": the file system knows no locks, so nothing keeps another process from working on it too");
  const std::string me = this_process();
  if (::ftruncate(fd_, 0) != 0 || ::pwrite(fd_, me.data(), me.size(), 0) < 0) return;  // the lock holds without a name
}

PathLock::~PathLock() {
  ::unlink(file_.c_str());
  ::close(fd_);
}

}  // namespace g2s
