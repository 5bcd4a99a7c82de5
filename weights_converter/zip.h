// ZIP archives, ZIP64 included, as far as PyTorch and numpy write them: stored and deflated members, found through the central directory.
#pragma once

#include <string>
#include <vector>

#include "weights_converter/bytes.h"

namespace g2s::convert {

struct ZipMember {
  std::string name;
  Bytes content;          // inflated, and its checksum compared, when it is loaded; stored members are used where they lie
  std::uint64_t at = 0;   // of its local header in the file
};

bool looks_like_zip(std::string_view start);

// All members in the order of the central directory. Throws Error(format) naming the file where records lie outside of it, contradict each
// other or overlap, and for encrypted, multi-disk and otherwise compressed ones. A member that would inflate to more than the file's length plus
// `allowance`, or to more than its compressed bytes can hold, is refused before anything is allocated.
std::vector<ZipMember> read_zip(const std::string& path, const Bytes& file);

}  // namespace g2s::convert
