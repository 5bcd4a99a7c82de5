#include "engine/exif.h"

#include <libexif/exif-data.h>

#include <limits>
#include <string>

namespace g2s {
namespace {

// The block that libexif reads: "Exif\0\0" and a TIFF structure.
std::string exif_block(std::string_view file) {
  auto u8 = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(file[i])); };
  const std::string_view signature("Exif\0\0", 6);
  if (file.size() >= 8 && file.substr(1, 3) == "PNG") {
    for (std::size_t at = 8; at + 12 <= file.size();) {
      std::size_t length = u8(at) << 24 | u8(at + 1) << 16 | u8(at + 2) << 8 | u8(at + 3);
      if (length > file.size() - at - 12) return {};
      if (file.substr(at + 4, 4) == "eXIf") return std::string(signature).append(file.substr(at + 8, length));
      at += length + 12;
    }
    return {};
  }
  if (file.size() < 4 || file.substr(0, 2) != "\xff\xd8") return {};
  for (std::size_t at = 2; at + 4 <= file.size() && u8(at) == 0xff;) {
    std::size_t marker = u8(at + 1);
    if (marker == 0xff) {  // padding
      ++at;
      continue;
    }
    std::size_t length = u8(at + 2) << 8 | u8(at + 3);
    if (marker == 0xda || length < 2 || length > file.size() - at - 2) return {};  // the scan: no more headers
    std::string_view body = file.substr(at + 4, length - 2);
    if (marker == 0xe1 && body.substr(0, 6) == signature) return std::string(body);
    at += 2 + length;
  }
  return {};
}

}  // namespace

int exif_orientation(std::string_view file) { return exif_orientation_of_block(exif_block(file)); }

int exif_orientation_of_block(std::string_view found) {
  std::string block(found);
  if (!block.empty() && block.compare(0, 4, "Exif") != 0) block.insert(0, "Exif\0\0", 6);
  if (block.empty() || block.size() > std::numeric_limits<unsigned>::max()) return 1;
  ExifData* data = exif_data_new_from_data(reinterpret_cast<const unsigned char*>(block.data()), static_cast<unsigned>(block.size()));
  if (!data) return 1;
  int orientation = 1;
  ExifEntry* entry = exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
  if (entry && entry->format == EXIF_FORMAT_SHORT && entry->size >= 2) {
    orientation = exif_get_short(entry->data, exif_data_get_byte_order(data));
  }
  exif_data_unref(data);
  return orientation >= 1 && orientation <= 8 ? orientation : 1;
}

}  // namespace g2s
