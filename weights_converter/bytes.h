// Where the bytes of a checkpoint are: in a mapped file, in a compressed member of one, or in a buffer. Nothing is copied or inflated before
// somebody asks for it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/export.h"

namespace g2s { namespace convert G2S_EXPORTED {

// What an input may cost beyond its own length: values of a pickle, headers, and members or views that are longer than what is stored.
// An input of N bytes never makes the reader allocate more than N + allowance bytes at a time.
constexpr std::uint64_t allowance = std::uint64_t{256} << 20;
constexpr std::uint64_t values_allowance = allowance / 4;                      // of it, for values, names and descriptions of tensors
constexpr std::uint64_t member_allowance = allowance - values_allowance;       // for the one member that is inflated at a time

// A stretch of memory and what keeps it alive.
struct Memory {
  const char* data = nullptr;
  std::uint64_t size = 0;
  std::shared_ptr<const void> owner;

  std::string_view view() const { return {data, static_cast<std::size_t>(size)}; }
};

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual std::uint64_t size() const = 0;
  // All bytes. May inflate or decode them: they go away with the last owner. Throws naming the file.
  virtual Memory load() const = 0;
};

// A range of a source. Copies are cheap.
struct Bytes {
  std::shared_ptr<const ByteSource> source;
  std::uint64_t begin = 0, size = 0;

  Memory load() const;                                             // throws naming the file
  Bytes slice(std::uint64_t offset, std::uint64_t count) const;    // throws Error(internal) if it does not lie within
};

// A whole file, mapped; throws Error(io) naming it.
Bytes map_file(const std::string& path);
// A buffer that the source takes over.
Bytes own_bytes(std::string buffer);

}}  // namespace g2s::convert
