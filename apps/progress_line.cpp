// The one line that shows all work on a terminal.
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "apps/progress.h"
#include "engine/error.h"
#include "engine/shown.h"

namespace g2s::app {
namespace {

struct Range {
  std::uint32_t first, last;
};

// Of the East Asian scripts and pictures, as terminals draw them.
constexpr Range wide[] = {{0x1100, 0x115f}, {0x2e80, 0xa4cf},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},  {0xfe30, 0xfe6f},
                          {0xff00, 0xff60}, {0xffe0, 0xffe6},   {0x1f300, 0x1faff}, {0x20000, 0x3fffd}};
constexpr Range combining[] = {{0x300, 0x36f}, {0x483, 0x489}, {0x591, 0x5bd}, {0x610, 0x61a}, {0x64b, 0x65f}, {0x1ab0, 0x1aff}, {0x200b, 0x200f}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}};

template <std::size_t N>
bool is_in(std::uint32_t character, const Range (&ranges)[N]) {
  return std::any_of(std::begin(ranges), std::end(ranges), [&](Range r) { return character >= r.first && character <= r.last; });
}

std::uint32_t decode(std::string_view bytes) {
  if (bytes.size() == 1) return static_cast<unsigned char>(bytes[0]);
  std::uint32_t out = static_cast<unsigned char>(bytes[0]) & (0xffu >> (bytes.size() + 1));
  for (char byte : bytes.substr(1)) out = out << 6 | (static_cast<unsigned char>(byte) & 0x3fu);
  return out;
}

// Calls see(bytes, columns) for each character until it says no.
template <class See>
void each_character(std::string_view text, See see) {
  while (!text.empty()) {
    const std::size_t length = std::max<std::size_t>(1, utf8_length(text));
    const std::uint32_t character = decode(text.substr(0, length));
    if (!see(text.substr(0, length), is_in(character, combining) ? 0 : is_in(character, wide) ? 2 : 1)) return;
    text.remove_prefix(length);
  }
}

std::string cut(const std::string& text, int width) {
  if (columns_of(text) <= width) return text;
  std::string out;
  int used = 0;
  each_character(text, [&](std::string_view bytes, int columns) {
    if (used + columns > width - 1) return false;
    used += columns;
    out += bytes;
    return true;
  });
  return width > 0 ? out + "…" : "";
}

std::string percent(const ProgressState& s) {
  return s.steps > 0 ? str(std::lround(100 * static_cast<double>(s.step) / static_cast<double>(s.steps)), "%") : str(s.step);
}

std::string left(const ProgressState& s) { return s.seconds_left >= 0 ? ", " + format_seconds(s.seconds_left) + " left" : ""; }

// Detail 0 is all that is known.
constexpr int details = 5;
std::string piece(const Running& r, int detail) {
  const ProgressState& s = r.state;
  const std::string number = r.work.of > 1 ? str(r.work.number, "/", r.work.of, " ") : "", name = shown(r.work.name);
  const std::string label = number + name + (name.empty() ? "" : ": ");
  const std::string steps = str("  ", s.step, "/", s.steps);
  switch (detail) {
    case 0: return format_work(r.work) + format_progress(s);
    case 1: return label + s.stage + steps + left(s);
    case 2: return label + s.stage + " " + percent(s) + left(s);
    case 3: return label + s.stage + " " + percent(s);
    default: return (number.empty() ? cut(name, 12) + " " : number) + percent(s);
  }
}

}  // namespace

int columns_of(const std::string& text) {
  int used = 0;
  each_character(text, [&](std::string_view, int columns) {
    used += columns;
    return true;
  });
  return used;
}

std::string one_line(const std::vector<Running>& running, int width) {
  std::string line;
  for (int detail = 0; detail < details; ++detail) {
    line.clear();
    for (const Running& r : running) line += (line.empty() ? "" : " | ") + piece(r, detail);
    if (columns_of(line) <= width) return line;
  }
  return cut(line, width);
}

}  // namespace g2s::app
