#include "apps/settings.h"

#include <algorithm>
#include <regex>

namespace g2s::app {
namespace {

// What the library finds fault with, as Error::op() names it. An op may also be an operator, a tensor or a file.
const char* const settings[] = {"align", "crop", "device", "face", "kind", "memory_limit", "network", "precision", "preset", "quality", "scale", "size", "views", "weights"};

std::string option(std::string setting) {
  std::replace(setting.begin(), setting.end(), '_', '-');
  return "--" + setting;
}

}  // namespace

std::string with_options(const std::string& text) {
  static const std::regex quoted("`([a-z_]+)`");
  std::string out, rest = text;
  for (std::smatch found; std::regex_search(rest, found, quoted); rest = found.suffix().str()) out += found.prefix().str() + option(found[1]);
  return out + rest;
}

std::string message_of(const Error& error) {
  const bool of_setting = (error.code() == Errc::invalid_argument || error.code() == Errc::unsupported) &&
                          std::find(std::begin(settings), std::end(settings), error.op()) != std::end(settings);
  return (of_setting ? option(error.op()) : error.op()) + ": " + with_options(error.message());
}

}  // namespace g2s::app
