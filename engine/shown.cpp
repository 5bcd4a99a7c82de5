#include "engine/shown.h"

namespace g2s {

std::size_t utf8_length(std::string_view text) {
  if (text.empty()) return 0;
  const auto c = static_cast<unsigned char>(text[0]);
  if (c < 0x80) return 1;
  if (c < 0xc2 || c > 0xf4) return 0;
  const std::size_t more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
  if (text.size() <= more) return 0;
  char32_t code = c & (0x3fu >> more);
  for (std::size_t k = 1; k <= more; ++k) {
    const auto next = static_cast<unsigned char>(text[k]);
    if ((next & 0xc0u) != 0x80u) return 0;
    code = code << 6 | (next & 0x3fu);
  }
  const bool overlong = (more == 2 && code < 0x800) || (more == 3 && code < 0x10000), surrogate = code >= 0xd800 && code < 0xe000;
  return overlong || surrogate || code > 0x10ffff ? 0 : more + 1;
}

std::string shown(std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const auto c = static_cast<unsigned char>(text[0]);
    // U+0080 to U+009F are control characters too.
    const bool control =
        (length == 1 && (c < ' ' || c == 0x7f)) || (length == 2 && c == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0);
    if (length > 0 && !control) {
      out += text.substr(0, length);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else {
      for (char byte : text.substr(0, length == 0 ? 1 : length)) {
        const auto b = static_cast<unsigned char>(byte);
        out += {'\\', 'x', digits[b >> 4], digits[b & 15]};
      }
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

}  // namespace g2s
