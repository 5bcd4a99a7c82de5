#include "weights_converter/zip.h"

#include <doctest/doctest.h>
#include <zlib.h>

#include <functional>

#include "engine/error.h"

using namespace g2s;
using namespace g2s::convert;

namespace {

// One member, with every field where a test can spoil it.
struct Archive {
  std::string name = "a/b", content = "content", inner_name = name;
  std::uint64_t method = 0, flags = 0, size = content.size(), packed = content.size(), crc = 0, offset = 0;
  std::uint64_t count = 1, directory_size = 0, directory_offset = 0;  // 0: as they are
  std::string extra;

  static std::string number(std::uint64_t value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> 8 * i);
    return out;
  }

  void deflate_content() {
    std::string out(compressBound(content.size()), '\0');
    z_stream stream{};
    REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    stream.next_in = reinterpret_cast<Bytef*>(content.data()), stream.avail_in = static_cast<uInt>(content.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data()), stream.avail_out = static_cast<uInt>(out.size());
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    deflateEnd(&stream);
    crc = crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size()));
    size = content.size(), packed = stream.total_out, method = 8;
    content = out.substr(0, packed);
  }

  std::string local() const {
    return "PK\x03\x04" + number(20, 2) + number(flags, 2) + number(method, 2) + number(0, 4) + number(crc, 4) + number(packed, 4) + number(size, 4) +
           number(inner_name.size(), 2) + number(0, 2) + inner_name + content;
  }
  std::string entry() const {
    return "PK\x01\x02" + number(20, 2) + number(20, 2) + number(flags, 2) + number(method, 2) + number(0, 4) + number(crc, 4) + number(packed, 4) +
           number(size, 4) + number(name.size(), 2) + number(extra.size(), 2) + number(0, 2) + number(0, 8) + number(offset, 4) + name + extra;
  }
  std::string bytes() const {
    const std::string first = local(), directory = entry();
    return first + directory + "PK\x05\x06" + number(0, 4) + number(count, 2) + number(count, 2) +
           number(directory_size ? directory_size : directory.size(), 4) + number(directory_offset ? directory_offset : first.size(), 4) +
           number(0, 2);
  }
};

std::string error_of(const std::string& file) {
  try {
    for (const ZipMember& m : read_zip("file", own_bytes(file))) m.content.load();
  } catch (const Error& e) {
    CHECK(e.op() == "file");
    return e.message();
  }
  return "no error";
}

std::string spoiled(const std::function<void(Archive&)>& change) {
  Archive a;
  change(a);
  return error_of(a.bytes());
}

bool says(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("zip: stored, deflated and ZIP64 members") {
  Archive a;
  auto members = read_zip("file", own_bytes(a.bytes()));
  REQUIRE(members.size() == 1);
  CHECK(members[0].name == "a/b");
  CHECK(members[0].content.load().view() == "content");
  a.content = std::string(100000, 'x') + "y";
  a.deflate_content();
  const Memory inflated = read_zip("file", own_bytes(a.bytes()))[0].content.load();
  CHECK(inflated.view() == std::string(100000, 'x') + "y");
  Archive wide;
  wide.extra = Archive::number(1, 2) + Archive::number(24, 2) + Archive::number(7, 8) + Archive::number(7, 8) + Archive::number(0, 8);
  wide.size = wide.packed = wide.offset = 0xffffffff;
  CHECK(read_zip("file", own_bytes(wide.bytes()))[0].content.load().view() == "content");
}

TEST_CASE("zip: records that lie are refused") {
  CHECK(says(spoiled([](Archive& a) { a.size = 8; }), "two different sizes"));
  CHECK(says(spoiled([](Archive& a) { a.packed = a.size = 1000; }), "reaches into the directory"));
  CHECK(says(spoiled([](Archive& a) { a.offset = 1u << 30; }), "beyond the directory"));
  CHECK(says(spoiled([](Archive& a) { a.offset = 3; }), "no header"));
  CHECK(says(spoiled([](Archive& a) { a.inner_name = "a/c"; }), "another name"));
  CHECK(says(spoiled([](Archive& a) { a.flags = 1; }), "encrypted"));
  CHECK(says(spoiled([](Archive& a) { a.method = 12; }), "method 12"));
  CHECK(says(spoiled([](Archive& a) { a.count = 2; }), "too short"));
  CHECK(says(spoiled([](Archive& a) { a.count = 0xffff; }), "ZIP64"));
  CHECK(says(spoiled([](Archive& a) { a.directory_size = 0xfffffff0; }), "beyond its end record"));
  CHECK(says(spoiled([](Archive& a) { a.directory_offset = 0xfffffff0; }), "beyond its end record"));
  CHECK(says(spoiled([](Archive& a) {
               a.size = a.packed = 0xffffffff, a.extra = Archive::number(1, 2) + Archive::number(4, 2) + Archive::number(7, 4);
             }),
             "ZIP64 sizes"));
  Archive twice;
  const std::string local = twice.local(), entry = twice.entry();
  const std::string end = "PK\x05\x06" + Archive::number(0, 4) + Archive::number(2, 2) + Archive::number(2, 2) +
                          Archive::number(2 * entry.size(), 4) + Archive::number(local.size(), 4) + Archive::number(0, 2);
  CHECK(says(error_of(local + entry + entry + end), "overlap"));
  const std::string whole = twice.bytes();
  for (std::size_t length = 0; length < whole.size(); ++length) CHECK(error_of(whole.substr(0, length)) != "no error");
}

TEST_CASE("zip: a bomb is refused before anything is allocated, a lie about lengths when it shows") {
  auto deflated = [](const std::function<void(Archive&)>& change) {
    Archive a;
    a.content = std::string(1 << 20, '\0');
    a.deflate_content();
    change(a);
    return error_of(a.bytes());
  };
  CHECK(deflated([](Archive&) {}) == "no error");
  CHECK(says(deflated([](Archive& a) { a.size = 0xfffffff0; }), "would inflate"));
  CHECK(says(deflated([](Archive& a) { a.size -= 1; }), "longer than it says"));
  CHECK(says(deflated([](Archive& a) { a.size += 1; }), "shorter than it says"));
  CHECK(says(deflated([](Archive& a) { a.crc ^= 1; }), "checksum"));
  CHECK(says(deflated([](Archive& a) { a.content[0] = static_cast<char>(a.content[0] | 6); }), "damaged"));
  // Within what DEFLATE can do, but beyond the allowance: 300 MiB out of as many bytes as would be needed.
  CHECK(says(deflated([](Archive& a) { a.content.resize(400 << 10), a.packed = a.content.size(), a.size = std::uint64_t{300} << 20; }),
             "would inflate"));
}
