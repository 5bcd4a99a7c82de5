#include "tests/structure/page_rules.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <map>
#include <regex>
#include <sstream>

#include "engine/error.h"

namespace g2s::test {
namespace {

constexpr std::size_t max_columns = 100, stops_of_tour = 20;

struct Line {
  int number;
  std::string text;
};

bool is_page(const SourceFile& file) { return file.path.size() > 3 && file.path.compare(file.path.size() - 3, 3, ".md") == 0; }

// The lines outside ``` and ```.
std::vector<Line> lines_outside_code(const std::string& text) {
  std::vector<Line> lines;
  std::istringstream in(text);
  bool code = false;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    const std::size_t first = line.find_first_not_of(' ');
    if (first != std::string::npos && line.compare(first, 3, "```") == 0) code = !code;
    else if (!code) lines.push_back({number, line});
  }
  return lines;
}

// Characters, not bytes of UTF-8.
std::size_t columns(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string without_inline_code(const std::string& line) {
  static const std::regex code("`[^`]*`");
  return std::regex_replace(line, code, "");
}

// [text](address), ![text](address), and [name]: address at the start of a line.
std::vector<std::string> addresses(const std::string& line) {
  static const std::regex inline_link("\\]\\(([^()\\s]+)\\)"), definition("^\\s*\\[[^\\]]+\\]:\\s*(\\S+)\\s*$");
  const std::string text = without_inline_code(line);
  std::vector<std::string> found;
  for (auto it = std::sregex_iterator(text.begin(), text.end(), inline_link); it != std::sregex_iterator(); ++it) found.push_back((*it)[1]);
  std::smatch match;
  if (std::regex_match(text, match, definition)) found.push_back(match[1]);
  return found;
}

// A heading's anchor as GitHub and GitLab make it.
std::string anchor_of(const std::string& heading) {
  static const std::regex link("\\[([^\\]]*)\\]\\([^)]*\\)");
  std::string anchor;
  for (char c : std::regex_replace(heading, link, "$1")) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) || byte >= 0x80 || c == '_' || c == '-') anchor += static_cast<char>(std::tolower(byte));
    else if (c == ' ') anchor += '-';
  }
  return anchor;
}

bool has_anchor(const std::string& text, const std::string& anchor) {
  static const std::regex heading("^#{1,6}\\s+(.*?)\\s*$");
  std::map<std::string, int> seen;
  for (const Line& line : lines_outside_code(text)) {
    std::smatch match;
    if (!std::regex_match(line.text, match, heading)) continue;
    const std::string plain = anchor_of(match[1]);
    const int before = seen[plain]++;
    if ((before ? str(plain, '-', before) : plain) == anchor) return true;
  }
  return false;
}

bool has_line(const std::string& text, const std::string& digits) {
  int wanted = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), wanted);
  const auto lines = std::count(text.begin(), text.end(), '\n') + (!text.empty() && text.back() != '\n');
  return error == std::errc() && end == digits.data() + digits.size() && wanted >= 1 && wanted <= lines;
}

std::string path_of(const SourceFile& from, const std::string& name) {
  return (std::filesystem::path(from.path).parent_path() / name).lexically_normal().generic_string();
}

// What is wrong with a link, or nothing.
std::string broken(const SourceFile& from, const std::string& address, const std::vector<SourceFile>& all) {
  static const std::regex other_place("^[a-z][a-z0-9+.-]*:.*");
  if (std::regex_match(address, other_place)) return "";
  const std::size_t hash = std::min(address.find('#'), address.size());
  const std::string name = address.substr(0, hash), anchor = hash < address.size() ? address.substr(hash + 1) : "";
  std::string path = from.path;
  if (!name.empty()) path = path_of(from, name);
  if (name.starts_with('/') || path.starts_with("..")) return "leaves the repository";
  auto file = std::find_if(all.begin(), all.end(), [&](const SourceFile& f) { return f.path == path; });
  if (file == all.end()) {
    const std::string folder = path.ends_with('/') ? path : path + '/';
    const bool is_folder = std::any_of(all.begin(), all.end(), [&](const SourceFile& f) { return f.path.starts_with(folder); });
    return is_folder && anchor.empty() ? "" : "opens no file";
  }
  if (hash == address.size()) return "";
  static const std::regex line_number("L[0-9]+");
  if (std::regex_match(anchor, line_number) && !is_page(*file))
    return has_line(file->text, anchor.substr(1)) ? "" : "names a line that is not there";
  return is_page(*file) && has_anchor(file->text, anchor) ? "" : "names no heading";
}

struct Stop {
  int number;  // of its heading's line
  std::string text;
};

std::vector<Stop> stops_of(const SourceFile& tour, Findings& findings) {
  static const std::regex heading("^## ([0-9]+)\\. .*");
  std::vector<Stop> stops;
  for (const Line& line : lines_outside_code(tour.text)) {
    std::smatch match;
    if (std::regex_match(line.text, match, heading)) {
      stops.push_back({line.number, ""});
      if (match[1] != std::to_string(stops.size())) findings.push_back(str(tour.path, ":", line.number, ": should be stop ", stops.size()));
    } else if (!stops.empty()) {
      stops.back().text += line.text + '\n';
    }
  }
  return stops;
}

std::vector<std::string> named_functions(const std::string& text) {
  static const std::regex function("`([A-Za-z_][A-Za-z0-9_:]*)\\(\\)`");
  std::vector<std::string> names;
  for (auto it = std::sregex_iterator(text.begin(), text.end(), function); it != std::sregex_iterator(); ++it) names.push_back((*it)[1]);
  return names;
}

// Is `name` called, declared or defined in `code`? A longer name that ends in it does not count.
bool has_function(const std::string& code, const std::string& name) {
  return std::regex_search(code, std::regex("(^|[^A-Za-z0-9_])" + name + "\\("));
}

}  // namespace

Findings check_prose(const SourceFile& file) {
  Findings findings;
  if (!is_page(file)) return findings;
  static const std::regex address("\\]\\([^()\\s]+\\)");
  for (const Line& line : lines_outside_code(file.text)) {
    if (line.text.starts_with('|')) continue;
    const std::size_t length = columns(std::regex_replace(line.text, address, "]"));
    if (length > max_columns) findings.push_back(str(file.path, ":", line.number, ": ", length, " columns"));
  }
  return findings;
}

Findings check_links(const SourceFile& file, const std::vector<SourceFile>& all) {
  Findings findings;
  if (!is_page(file)) return findings;
  for (const Line& line : lines_outside_code(file.text))
    for (const std::string& address : addresses(line.text))
      if (const std::string why = broken(file, address, all); !why.empty())
        findings.push_back(str(file.path, ":", line.number, ": the link ", address, " ", why));
  return findings;
}

Findings check_tour(const SourceFile& file, const std::vector<SourceFile>& all) {
  Findings findings;
  if (file.path != "docs/tour.md") return findings;
  const std::vector<Stop> stops = stops_of(file, findings);
  if (stops.size() != stops_of_tour) findings.push_back(str(file.path, ": has ", stops.size(), " stops, not ", stops_of_tour));
  for (const Stop& stop : stops) {
    std::vector<const SourceFile*> opened;
    for (const std::string& address : addresses(stop.text))
      for (const SourceFile& f : all)
        if (f.path == path_of(file, address)) opened.push_back(&f);
    const std::vector<std::string> names = named_functions(stop.text);
    if (names.empty()) findings.push_back(str(file.path, ":", stop.number, ": names no function"));
    for (const std::string& name : names)
      if (std::none_of(opened.begin(), opened.end(), [&](const SourceFile* f) { return has_function(f->text, name); }))
        findings.push_back(str(file.path, ":", stop.number, ": ", name, "() is in no file that the stop opens"));
  }
  return findings;
}

Findings check_citations(const SourceFile& file) {
  // In two halves, so that this file does not contain it.
  static const std::regex other_text(str("(^|[^A-Za-z0-9_])MET", "HOD([^A-Za-z0-9_]|$)"));
  Findings findings;
  std::istringstream in(file.text);
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (std::regex_search(line, other_text) && line.find("docs/method.md") == std::string::npos)
      findings.push_back(str(file.path, ":", number, ": the method's constants are in docs/method.md"));
  }
  return findings;
}

}  // namespace g2s::test
