#include "weights_converter/zip.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "engine/error.h"
#include "weights_converter/text.h"

namespace g2s::convert {
namespace {

constexpr std::uint32_t end_signature = 0x06054b50, end64_signature = 0x06064b50, locator_signature = 0x07064b50, entry_signature = 0x02014b50,
                        local_signature = 0x04034b50;
constexpr std::uint64_t end_size = 22, locator_size = 20, end64_size = 56, entry_size = 46, local_size = 30;
constexpr std::uint64_t most_inflation = 1032;  // DEFLATE makes no more of a byte
constexpr std::uint64_t most_members = 100'000;

std::uint64_t little(const char* at, int bytes) {
  std::uint64_t value = 0;
  for (int i = bytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(at[i]);
  return value;
}

struct Entry {
  std::string name;
  std::uint64_t flags = 0, method = 0, crc = 0, packed = 0, size = 0, at = 0;
};

class InflatedMember final : public ByteSource {
 public:
  InflatedMember(const std::string& path, const Entry& entry, Bytes packed)
      : path_(path), name_(printable(entry.name)), packed_(std::move(packed)), size_(entry.size), crc_(entry.crc) {}
  std::uint64_t size() const override { return size_; }

  Memory load() const override {
    std::shared_ptr<const std::string> content = content_.lock();
    if (!content) {
      content = std::make_shared<const std::string>(inflate_all());
      content_ = content;
    }
    return {content->data(), content->size(), content};
  }

 private:
  [[noreturn]] void bad(const char* what) const { fail(Errc::format, path_, "member ", name_, " ", what); }

  std::string inflate_all() const {
    const Memory packed = packed_.load();
    std::string out(static_cast<std::size_t>(size_), '\0');
    z_stream stream{};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) fail(Errc::out_of_memory, path_, "member ", name_, " cannot be inflated");
    struct Closer {
      z_stream* stream;
      ~Closer() { inflateEnd(stream); }
    } closer{&stream};
    std::uint64_t in_left = packed.size, out_left = size_;
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data));
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    constexpr std::uint64_t most = 1u << 30;  // zlib counts in 32 bits
    int status = Z_OK;
    while (status == Z_OK) {
      if (stream.avail_in == 0) stream.avail_in = static_cast<uInt>(std::min(in_left, most)), in_left -= stream.avail_in;
      if (stream.avail_out == 0) stream.avail_out = static_cast<uInt>(std::min(out_left, most)), out_left -= stream.avail_out;
      status = inflate(&stream, Z_NO_FLUSH);
    }
    if (status != Z_STREAM_END)
      bad(status == Z_BUF_ERROR && out_left + stream.avail_out == 0 ? "is longer than it says" : "is damaged: it does not inflate");
    if (out_left + stream.avail_out > 0) bad("is shorter than it says");
    uLong crc = crc32(0, nullptr, 0);
    for (std::size_t i = 0; i < out.size(); i += most) {
      crc = crc32(crc, reinterpret_cast<const Bytef*>(out.data() + i), static_cast<uInt>(std::min<std::uint64_t>(most, out.size() - i)));
    }
    if (crc != crc_) bad("is damaged: its checksum differs");
    return out;
  }

  std::string path_, name_;
  Bytes packed_;
  std::uint64_t size_, crc_;
  mutable std::weak_ptr<const std::string> content_;
};

class ZipReader {
 public:
  ZipReader(const std::string& path, const Bytes& file) : path_(path), file_(file), memory_(file.load()) {}

  std::vector<ZipMember> read() {
    find_directory();
    std::vector<ZipMember> members;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> extents;
    std::uint64_t at = directory_;
    for (std::uint64_t i = 0; i < count_; ++i) {
      const Entry entry = read_entry(at);
      const std::uint64_t data = data_of(entry);
      extents.emplace_back(entry.at, data + entry.packed);
      members.push_back({entry.name, content_of(entry, data), entry.at});
    }
    if (at != directory_end_) bad("its directory has ", directory_end_ - at, " bytes that belong to no member");
    std::sort(extents.begin(), extents.end());
    for (std::size_t i = 1; i < extents.size(); ++i)
      if (extents[i].first < extents[i - 1].second) bad("two of its members overlap");
    return members;
  }

 private:
  template <class... Parts>
  [[noreturn]] void bad(const Parts&... what) const { fail(Errc::format, path_, "is a damaged or truncated ZIP archive: ", what...); }

  const char* bytes(std::uint64_t at, std::uint64_t count) const {
    if (at > memory_.size || count > memory_.size - at) bad("a record lies beyond the end of the file");
    return memory_.data + at;
  }

  // The end record is the last thing but for its comment. Where other bytes follow it, the last one counts, as for PyTorch.
  std::uint64_t find_end() const {
    if (memory_.size < end_size) bad("it is too short");
    const std::uint64_t last = memory_.size - end_size, first = last > 0xffff ? last - 0xffff : 0;
    for (std::uint64_t at = last + 1; at-- > first;)
      if (little(memory_.data + at, 4) == end_signature && at + end_size + little(memory_.data + at + 20, 2) == memory_.size) return at;
    for (std::uint64_t at = last + 1; at-- > first;)
      if (little(memory_.data + at, 4) == end_signature && little(memory_.data + at + 20, 2) <= last - at) return at;
    bad("its end record is missing");
  }

  void find_directory() {
    const std::uint64_t end = find_end();
    const char* e = memory_.data + end;
    std::uint64_t disks = little(e + 4, 2) | little(e + 6, 2), here = little(e + 8, 2), size = little(e + 12, 4);
    count_ = little(e + 10, 2), directory_ = little(e + 16, 4);
    std::uint64_t limit = end;
    const bool small = count_ != 0xffff && size != 0xffffffff && directory_ != 0xffffffff;
    if (end >= locator_size && little(e - locator_size, 4) == locator_signature) {
      const std::uint64_t at = little(e - locator_size + 8, 8);
      const char* w = bytes(at, end64_size);
      if (little(w, 4) != end64_signature || at + end64_size > end - locator_size) bad("its ZIP64 end record is missing");
      disks = little(w + 16, 4) | little(w + 20, 4), here = little(w + 24, 8), count_ = little(w + 32, 8);
      size = little(w + 40, 8), directory_ = little(w + 48, 8), limit = at;
    } else if (!small) {
      bad("its ZIP64 end record is missing");
    }
    if (disks != 0 || here != count_) bad("it is spread over several files");
    if (directory_ > limit || size > limit - directory_) bad("its directory lies beyond its end record");
    if (count_ > size / entry_size) bad("its directory is too short for ", count_, " members");
    if (count_ > most_members) bad("it has ", count_, " members; a checkpoint has at most ", most_members);
    directory_end_ = directory_ + size;
  }

  Entry read_entry(std::uint64_t& at) const {
    if (directory_end_ - at < entry_size) bad("its directory is too short");
    const char* e = memory_.data + at;
    if (little(e, 4) != entry_signature) bad("its directory is damaged");
    const std::uint64_t name = little(e + 28, 2), extra = little(e + 30, 2), comment = little(e + 32, 2);
    if (name + extra + comment > directory_end_ - at - entry_size) bad("its directory is too short");
    Entry out;
    out.flags = little(e + 8, 2), out.method = little(e + 10, 2), out.crc = little(e + 16, 4);
    out.packed = little(e + 20, 4), out.size = little(e + 24, 4), out.at = little(e + 42, 4);
    out.name.assign(e + entry_size, static_cast<std::size_t>(name));
    read_zip64({e + entry_size + name, static_cast<std::size_t>(extra)}, out);
    at += entry_size + name + extra + comment;
    if (out.flags & 1u) bad("member ", printable(out.name), " is encrypted");
    if (out.method != 0 && out.method != 8)
      bad("member ", printable(out.name), " is compressed by method ", out.method, "; 0 and 8 (DEFLATE) are known");
    return out;
  }

  // The extra field 1 has those of size, packed size and offset that do not fit their 32 bits.
  void read_zip64(std::string_view extra, Entry& entry) const {
    std::string_view wide;
    bool found = false;
    while (extra.size() >= 4) {
      const std::uint64_t id = little(extra.data(), 2), size = little(extra.data() + 2, 2);
      if (size > extra.size() - 4) break;  // padding
      if (id == 1 && !found) wide = extra.substr(4, size), found = true;
      extra.remove_prefix(4 + size);
    }
    for (std::uint64_t* field : {&entry.size, &entry.packed, &entry.at}) {
      if (*field != 0xffffffff) continue;
      if (!found) continue;  // just that long
      if (wide.size() < 8) bad("member ", printable(entry.name), " lacks its ZIP64 sizes");
      *field = little(wide.data(), 8);
      wide.remove_prefix(8);
    }
  }

  // Where the member's bytes begin: after its local header.
  std::uint64_t data_of(const Entry& entry) const {
    if (entry.at > directory_ || directory_ - entry.at < local_size) bad("member ", printable(entry.name), " lies beyond the directory");
    const char* l = memory_.data + entry.at;
    const std::uint64_t name = little(l + 26, 2), extra = little(l + 28, 2), room = directory_ - entry.at - local_size;
    if (little(l, 4) != local_signature) bad("member ", printable(entry.name), " has no header");
    if (name + extra > room || entry.packed > room - name - extra) bad("member ", printable(entry.name), " reaches into the directory");
    if (std::string_view(l + local_size, name) != entry.name) bad("member ", printable(entry.name), " has another name in its own header");
    return entry.at + local_size + name + extra;
  }

  Bytes content_of(const Entry& entry, std::uint64_t data) const {
    const Bytes packed = file_.slice(data, entry.packed);
    if (entry.method == 0) {
      if (entry.size != entry.packed) bad("member ", printable(entry.name), " is stored with two different sizes");
      return packed;
    }
    if (entry.size / most_inflation > entry.packed || entry.size > memory_.size + member_allowance) {
      fail(Errc::format, path_, "member ", printable(entry.name), " would inflate from ", entry.packed, " to ", entry.size,
           " bytes: more than a checkpoint of this length can hold");
    }
    return {std::make_shared<const InflatedMember>(path_, entry, packed), 0, entry.size};
  }

  const std::string& path_;
  const Bytes& file_;
  Memory memory_;
  std::uint64_t count_ = 0, directory_ = 0, directory_end_ = 0;
};

}  // namespace

bool looks_like_zip(std::string_view start) {
  return start.substr(0, 4) == std::string_view("PK\x03\x04", 4) || start.substr(0, 4) == std::string_view("PK\x05\x06", 4);
}

std::vector<ZipMember> read_zip(const std::string& path, const Bytes& file) { return ZipReader(path, file).read(); }

}  // namespace g2s::convert
