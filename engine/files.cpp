#include "engine/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "engine/error.h"

namespace g2s {
namespace {

namespace fs = std::filesystem;

std::string reason(int error) { return std::strerror(error); }

std::string parent_of(const std::string& path) {
  fs::path parent = fs::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

// The rename itself must survive a power cut. File systems that cannot flush a folder are not an error.
void flush_folder(const std::string& folder) {
  int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

std::string without_slash(const std::string& path) {
  const std::size_t last = path.find_last_not_of('/');
  return last == std::string::npos ? path : path.substr(0, last + 1);
}

std::string temporary_name(const std::string& path) {
  static std::atomic<unsigned> counter{0};
  return str(path, ".", ::getpid(), "-", counter++, ".tmp");
}

void remove_leftovers(const std::string& path) {
  const std::string start = fs::path(path).filename().string() + ".";
  std::error_code ignored;
  for (fs::directory_iterator it(parent_of(path), ignored), end; it != end; it.increment(ignored)) {
    const std::string name = it->path().filename().string();
    if (name.rfind(start, 0) != 0 || it->path().extension() != ".tmp") continue;
    const std::string number = name.substr(start.size(), name.size() - start.size() - 4);  // PID-N
    const bool temporary = std::count(number.begin(), number.end(), '-') == 1 && number.find_first_not_of("0123456789-") == std::string::npos;
    if (temporary) fs::remove_all(it->path(), ignored);
  }
}

AtomicFile::AtomicFile(const std::string& path, Durability durability)
    : path_(path), temporary_(temporary_name(path)), durability_(durability) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) fail(Errc::io, path, "cannot be written: it is a folder");
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd_ < 0) fail(Errc::io, path, "cannot be written: ", reason(errno));
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::discard() noexcept {
  if (fd_ < 0) return;
  ::close(fd_);
  fd_ = -1;
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  const char* p = static_cast<const char*>(data);
  while (bytes > 0) {
    ssize_t n = ::write(fd_, p, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(Errc::io, path_, "cannot be written: ", reason(errno));
    p += n;
    bytes -= static_cast<std::size_t>(n);
  }
}

void AtomicFile::write_at(std::uint64_t offset, std::string_view text) {
  while (!text.empty()) {
    ssize_t n = ::pwrite(fd_, text.data(), text.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(Errc::io, path_, "cannot be written: ", reason(errno));
    text.remove_prefix(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
}

void AtomicFile::commit() {
  // Some file systems report a full disk only here. Pipes and the like cannot be flushed, which is no error.
  if (durability_ == Durability::power_cut && ::fsync(fd_) != 0 && errno != EINVAL && errno != EROFS) fail(Errc::io, path_, "cannot be written: ", reason(errno));
  int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    int error = errno;
    ::unlink(temporary_.c_str());
    fail(Errc::io, path_, "cannot be written: ", reason(error));
  }
  if (durability_ == Durability::power_cut) flush_folder(parent_of(path_));
}

void write_file(const std::string& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

std::string read_file(const std::string& path, std::size_t limit) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(Errc::io, path, "cannot be read: ", reason(errno));
  struct Closer {
    int fd;
    ~Closer() { ::close(fd); }
  } closer{fd};
  struct stat info {};
  if (::fstat(fd, &info) != 0) fail(Errc::io, path, "cannot be read: ", reason(errno));
  if (S_ISDIR(info.st_mode)) fail(Errc::io, path, "cannot be read: it is a folder");
  if (info.st_size > 0 && static_cast<std::uintmax_t>(info.st_size) > limit) {
    fail(Errc::io, path, "is ", info.st_size, " bytes long, more than the ", limit, " accepted");
  }
  std::string content;
  content.reserve(static_cast<std::size_t>(info.st_size));
  char buffer[1 << 16];
  for (;;) {
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(Errc::io, path, "cannot be read: ", reason(errno));
    if (n == 0) return content;
    content.append(buffer, static_cast<std::size_t>(n));
    if (content.size() > limit) fail(Errc::io, path, "is longer than the ", limit, " bytes accepted");
  }
}

void make_folders(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail(Errc::io, path, "cannot be made: ", error.message());
  if (!fs::is_directory(path, error)) fail(Errc::io, path, "is not a folder");
}

void require_writable_folder(const std::string& path) {
  std::error_code error;
  fs::path existing = fs::absolute(path, error).lexically_normal();
  while (!fs::exists(existing, error) && existing != existing.root_path()) existing = existing.parent_path();
  if (!fs::is_directory(existing, error)) fail(Errc::io, existing.string(), "is not a folder, so ", path, " cannot be made");
  const std::string probe = temporary_name((existing / "probe").string());
  int fd = ::open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) fail(Errc::io, existing.string(), "cannot be written to: ", reason(errno));
  ::close(fd);
  ::unlink(probe.c_str());
}

void rename_path(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail(Errc::io, to, "cannot be written: ", reason(errno));
  flush_folder(parent_of(to));
}

AtomicFolder::AtomicFolder(const std::string& path) : path_(without_slash(path)), temporary_(temporary_name(path_)) { make_folders(temporary_); }

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);  // once it is in place, that which was there before or nothing
}

void AtomicFolder::commit() {
  // A folder with content cannot be renamed over another. Where they can change places, one of them is there at any time.
  if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), RENAME_EXCHANGE) == 0) return flush_folder(parent_of(path_));
  // Elsewhere the old one steps aside first and comes back if that fails.
  const std::string old = temporary_name(path_);
  const bool replaces = fs::exists(path_);
  if (replaces) rename_path(path_, old);
  try {
    rename_path(temporary_, path_);
  } catch (...) {
    if (replaces) rename_path(old, path_);
    throw;
  }
  std::error_code ignored;
  if (replaces) fs::remove_all(old, ignored);
}

}  // namespace g2s
