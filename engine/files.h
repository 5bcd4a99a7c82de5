// Files and folders: whole-file reads, atomic writes, temporary names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/export.h"

namespace g2s G2S_EXPORTED {

// What a committed file survives. Waiting for the disk takes longer than writing to memory: what can be made again from a file that stays need not.
enum class Durability { power_cut, crash };

// A file written under a temporary name in the same folder; commit() puts it in place, anything else removes it. An existing file is
// replaced only by a complete one. Every failure is Error(io) naming the final path.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path, Durability durability = Durability::power_cut);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void write_at(std::uint64_t offset, std::string_view text);  // over what was written there before
  void commit();  // flushed to the disk if it is to survive a power cut, then renamed

 private:
  void discard() noexcept;
  std::string path_, temporary_;
  int fd_ = -1;
  Durability durability_;
};

void write_file(const std::string& path, std::string_view content);

// The whole file; throws Error(io) naming it if it is absent, a folder, unreadable or longer than `limit` bytes.
std::string read_file(const std::string& path, std::size_t limit = std::size_t{1} << 30);

// Makes a folder and its parents; throws Error(io) naming it.
void make_folders(const std::string& path);

// Throws Error(io) unless the folder exists and takes new entries, which is tried, or can be made. Makes nothing.
void require_writable_folder(const std::string& path);

// A folder under a temporary name; commit() puts it in place of an earlier one, anything else removes it. So a folder of this name is always
// complete, and what was there before stays until then. Every failure is Error(io) naming the path at fault.
class AtomicFolder {
 public:
  explicit AtomicFolder(const std::string& path);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;
  const std::string& temporary() const { return temporary_; }  // write here
  void commit();

 private:
  std::string path_, temporary_;
};

// Without slashes at its end: "out/" -> "out".
std::string without_slash(const std::string& path);

// A name beside `path` that no other process uses: path.PID-N.tmp.
std::string temporary_name(const std::string& path);
// Removes what processes that were killed left under such names. For whoever alone may write to `path`, see PathLock.
void remove_leftovers(const std::string& path);

// Renames a file or folder and flushes the parent folder; throws Error(io) naming the target.
void rename_path(const std::string& from, const std::string& to);

}  // namespace g2s
