// SHA-256, to tell whether a checkpoint belongs to the same image, weights and settings; XXH128, a checksum at the speed of memory, to tell
// which file something was made from (`xxhsum -H2 FILE` prints the same).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

std::string sha256(std::string_view content);         // 64 lower-case hexadecimal digits
std::string xxh128(std::string_view content);         // 32 of them
std::string sha256(const Tensor& tensor);             // of dtype, shape and bytes
std::string sha256_file(const std::string& path);     // of a file's content

}  // namespace g2s
