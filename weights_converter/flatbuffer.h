// FlatBuffers, table by table: every offset is checked by the library's Verifier before it is followed.
#pragma once

#include <flatbuffers/flatbuffers.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/error.h"
#include "weights_converter/pickle.h"

namespace g2s::convert {

// What all tables of one file share.
class FlatBuffer {
 public:
  // `context` counts what is read, so that a file of many offsets to one place takes no longer than a long one.
  FlatBuffer(ReadContext& context, std::string_view file)
      : context_(context), file_(file), verifier_(bytes(), file.size(), most_depth, most_tables) {
  }

  const std::uint8_t* bytes() const { return reinterpret_cast<const std::uint8_t*>(file_.data()); }
  template <class... Parts>
  [[noreturn]] void bad(const Parts&... what) const { fail(Errc::format, context_.path, "is a damaged or truncated FlatBuffer: ", what...); }
  void spend(std::uint64_t work) const { context_.spend(work); }

  template <class T>
  T scalar(std::size_t place) const {
    if (!verifier_.Verify<T>(place)) bad("a number lies beyond its end, or between two places");
    return flatbuffers::ReadScalar<T>(bytes() + place);
  }
  // Where the offset stored at `place` leads.
  std::size_t follow(std::size_t place) {
    const std::size_t offset = verifier_.VerifyOffset(place);
    if (offset == 0) bad("an offset leads out of it");
    return place + offset;
  }
  const flatbuffers::Table* table(std::size_t place) {
    spend(1);
    if (!verifier_.VerifyTableStart(bytes() + place)) bad("a table lies beyond its end");
    verifier_.EndTable();
    return reinterpret_cast<const flatbuffers::Table*>(bytes() + place);
  }
  // The number of elements of the vector at `place`. Single bytes are not read one by one, and cost nothing.
  std::size_t vector(std::size_t place, std::size_t element) {
    if (!verifier_.VerifyVectorOrString(bytes() + place, element)) bad("a vector lies beyond its end");
    const std::size_t count = flatbuffers::ReadScalar<flatbuffers::uoffset_t>(bytes() + place);
    if (element > 1) spend(count);
    return count;
  }

 private:
  static constexpr unsigned most_depth = 64, most_tables = 1'000'000;
  ReadContext& context_;
  std::string_view file_;
  flatbuffers::Verifier verifier_;
};

// A table; fields go by their numbers in the schema.
class FlatTable {
 public:
  static FlatTable root(FlatBuffer& buffer) { return {buffer, buffer.follow(0)}; }

  template <class T>
  T number(int field, T otherwise) const {
    const std::size_t place = find(field);
    return place ? buffer_->scalar<T>(place) : otherwise;
  }
  std::optional<FlatTable> table(int field) const {
    const std::size_t place = find(field);
    if (!place) return std::nullopt;
    return FlatTable(*buffer_, buffer_->follow(place));
  }
  // Where the bytes are in the file; empty if there are none.
  std::string_view bytes(int field) const {
    const std::size_t place = find(field);
    if (!place) return {};
    const std::size_t begin = buffer_->follow(place), count = buffer_->vector(begin, 1);
    return {reinterpret_cast<const char*>(buffer_->bytes() + begin + sizeof(flatbuffers::uoffset_t)), count};
  }
  bool has(int field) const { return find(field) != 0; }
  template <class T>
  std::vector<T> numbers(int field) const {
    std::vector<T> out;
    const std::size_t place = find(field);
    if (!place) return out;
    const std::size_t begin = buffer_->follow(place), count = buffer_->vector(begin, sizeof(T));
    out.reserve(count);
    for (std::size_t i = 0; i < count; ++i) out.push_back(buffer_->scalar<T>(begin + sizeof(flatbuffers::uoffset_t) + i * sizeof(T)));
    return out;
  }
  template <class Take>
  void tables(int field, Take&& take) const {
    const std::size_t place = find(field);
    if (!place) return;
    const std::size_t begin = buffer_->follow(place), count = buffer_->vector(begin, sizeof(flatbuffers::uoffset_t));
    for (std::size_t i = 0; i < count; ++i) take(FlatTable(*buffer_, buffer_->follow(begin + (i + 1) * sizeof(flatbuffers::uoffset_t))));
  }

 private:
  FlatTable(FlatBuffer& buffer, std::size_t place) : buffer_(&buffer), place_(place), table_(buffer.table(place)) {}

  // 0: the table does not have it.
  std::size_t find(int field) const {
    const auto offset = table_->GetOptionalFieldOffset(static_cast<flatbuffers::voffset_t>((field + 2) * sizeof(flatbuffers::voffset_t)));
    return offset ? place_ + offset : 0;
  }

  FlatBuffer* buffer_;
  std::size_t place_;
  const flatbuffers::Table* table_;
};

}  // namespace g2s::convert
