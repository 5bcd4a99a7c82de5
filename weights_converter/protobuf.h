// Protocol buffers, read field by field: as much of the wire format as ONNX needs.
#pragma once

#include <string>
#include <string_view>

#include "engine/error.h"

namespace g2s::convert {

enum class Wire : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

// while (message.next()) switch (message.field()) ...
class ProtobufReader {
 public:
  ProtobufReader(const std::string& path, std::string_view message) : path_(path), left_(message) {}

  bool next() {
    if (left_.empty()) return false;
    const std::uint64_t key = read_varint(left_);
    field_ = key >> 3;
    wire_ = static_cast<Wire>(key & 7u);
    switch (wire_) {
      case Wire::varint: number_ = read_varint(left_); break;
      case Wire::fixed64: take(8); break;
      case Wire::fixed32: take(4); break;
      case Wire::bytes: {
        const std::uint64_t size = read_varint(left_);
        take(size);
        break;
      }
      default: bad();
    }
    if (field_ == 0) bad();
    return true;
  }

  std::uint64_t field() const { return field_; }
  Wire wire() const { return wire_; }
  // Throw if the field is encoded as something else.
  std::uint64_t number() const {
    if (wire_ != Wire::varint) bad();
    return number_;
  }
  std::string_view bytes() const {
    if (wire_ != Wire::bytes) bad();
    return bytes_;
  }
  std::string_view raw() const { return bytes_; }  // of bytes and fixed-size fields
  ProtobufReader message() const { return {path_, bytes()}; }

  // Repeated numbers come packed into one field or each in its own.
  template <class Take>
  void numbers(Take&& take_number) const {
    if (wire_ == Wire::varint) return take_number(number_);
    for (std::string_view rest = bytes(); !rest.empty();) take_number(read_varint(rest));
  }

 private:
  [[noreturn]] void bad() const { fail(Errc::format, path_, "is a damaged or truncated ONNX file"); }
  void take(std::uint64_t size) {
    if (size > left_.size()) bad();
    bytes_ = left_.substr(0, size);
    left_.remove_prefix(size);
  }
  std::uint64_t read_varint(std::string_view& from) const {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (from.empty()) bad();
      const auto c = static_cast<unsigned char>(from.front());
      from.remove_prefix(1);
      value |= std::uint64_t{c & 0x7fu} << shift;
      if (c < 0x80) return value;
    }
    bad();
  }

  const std::string& path_;
  std::string_view left_, bytes_;
  std::uint64_t field_ = 0, number_ = 0;
  Wire wire_ = Wire::varint;
};

}  // namespace g2s::convert
