#include "tests/structure/rules.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "engine/error.h"

namespace g2s::test {
namespace {

namespace fs = std::filesystem;

constexpr int max_file_lines = 500;
constexpr int max_method_lines = 600;  // examples/method.cpp: a paper's worth, to be read from top to bottom
constexpr int max_example_lines = 59;  // those below it, one of which is read in a few minutes
constexpr int max_function_lines = 85;

bool starts_with(const std::string& text, const std::string& start) { return text.rfind(start, 0) == 0; }
bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}
bool is_cpp(const std::string& path) {
  return ends_with(path, ".cpp") || ends_with(path, ".cc") || ends_with(path, ".h") || ends_with(path, ".cu") || ends_with(path, ".cuh");
}
std::string first_folder(const std::string& path) { return path.substr(0, path.find('/')); }
std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }
// A program on the installed library, in examples/c/ and so on.
bool is_example(const std::string& path) { return starts_with(path, "examples/") && folder_of(path) != "examples"; }

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// What opens a brace at namespace or class level: namespace g2s, struct Node, or a function, or else an initialiser.
bool is_scope(const std::string& head) {
  static const std::regex keyword("(^|[^A-Za-z0-9_])(namespace|class|struct|union|enum|extern)([^A-Za-z0-9_]|$)");
  return std::regex_search(head, keyword) && head.find('(') == std::string::npos;
}
bool is_function(const std::string& head) {
  const std::size_t close = head.find(')');
  if (close == std::string::npos || head.substr(0, head.find('(')).find('=') != std::string::npos) return false;
  // B::B() : x_{1} {}: the brace after x_ is not the body.
  static const std::regex member("[^:]:[^:].*[A-Za-z0-9_>]\\s*$");
  return !std::regex_search(head.substr(close), member);
}

// May `from` include the project's header `to`? Gives the reason if not.
std::string refusal(const std::string& from, const std::string& to) {
  static const std::map<std::string, int> layers = {{"engine", 0}, {"kernels", 1}, {"models", 2}, {"weights_converter", 2},
                                                    {"c_api", 3},  {"apps", 3},   {"bench", 3},   {"examples", 3},          {"tests", 4}};
  const bool test = ends_with(from, ".test.cpp") || starts_with(from, "tests/");
  auto target = layers.find(first_folder(to)), source = layers.find(first_folder(from));
  if (target == layers.end() || source == layers.end()) return "";
  const bool pod = ends_with(to, "_args.h");
  if (starts_with(to, "kernels/") && !starts_with(from, "kernels/") && (pod || ends_with(to, ".cuh")))
    return "POD arguments belong to the kernels alone";
  if (ends_with(from, "_args.h") && to != "kernels/isa.h") return "an argument header includes only <cstdint> and kernels/isa.h";
  const bool isa_file = ends_with(from, ".isa.cpp") || ends_with(from, ".isa.h"), isa_header = ends_with(to, ".isa.h");
  if (isa_header && !isa_file) return "what is compiled per instruction set is for .isa.cpp files alone";
  const bool kernel_file = isa_file || (starts_with(from, "kernels/") && (ends_with(from, ".cu") || ends_with(from, ".cuh")));
  const bool for_kernels = to == "engine/parallel.h" || (starts_with(to, "engine/cuda/") && ends_with(to, ".cuh"));
  if (kernel_file && starts_with(to, "engine/") && !for_kernels) return "kernels see POD arguments, never a Tensor";
  if (kernel_file && starts_with(to, "kernels/") && folder_of(to) != "kernels" && ends_with(to, ".h") && !pod && !isa_header)
    return "kernels see POD arguments, never a Tensor";
  if (test) return "";
  if (starts_with(to, "tests/")) return "only tests may use the tests' helpers";
  if (source->first == "weights_converter" && target->first != "weights_converter" && target->first != "engine")
    return "reading a checkpoint needs the engine alone";
  if (target->first == "weights_converter" && source->first == "models") return "networks are made of weights, not of checkpoints";
  if (source->first == "examples" && !is_example(from) && starts_with(to, "models/gan2shape/"))
    return "the method's example is written without the method's code";
  if (target->second > source->second) return "includes point from apps to models to kernels to engine";
  return "";
}

bool is_cuda_header(const std::string& name) {
  static const std::regex pattern("^(cuda|cublas|cudnn|cusolver|cufft|curand|nccl|nvtx|mma\\.h|device_launch|driver_types|vector_types).*");
  return std::regex_match(name, pattern);
}

}  // namespace

std::string code_only(const std::string& text) {
  std::string out = text;
  auto blank = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to && i < out.size(); ++i)
      if (out[i] != '\n') out[i] = ' ';
  };
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i + 1;
    if (text.compare(i, 2, "//") == 0) {
      end = std::min(text.find('\n', i), text.size());
      blank(i, end);
    } else if (text.compare(i, 2, "/*") == 0) {
      end = std::min(text.find("*/", i), text.size() - 2) + 2;
      blank(i, end);
    } else if (text.compare(i, 3, "R\"(") == 0) {
      end = std::min(text.find(")\"", i), text.size() - 2) + 2;
      blank(i, end);
    } else if (text[i] == '"' || (text[i] == '\'' && (i == 0 || !std::isalnum(static_cast<unsigned char>(text[i - 1]))))) {
      while (end < text.size() && text[end] != text[i] && text[end] != '\n') end += text[end] == '\\' ? 2 : 1;
      blank(i, ++end);
    } else if (text[i] == '#' && (i == 0 || text[i - 1] == '\n')) {
      while (end < text.size() && !(text[end] == '\n' && text[end - 1] != '\\')) ++end;
      blank(i, end);
    }
    i = end;
  }
  return out;
}

Findings check_includes(const SourceFile& file) {
  Findings findings;
  if (!is_cpp(file.path)) return findings;
  static const std::regex include("^\\s*#\\s*include\\s*([<\"])([^>\"]+)[>\"].*");
  int number = 0;
  for (const std::string& line : lines_of(file.text)) {
    ++number;
    std::smatch match;
    if (!std::regex_match(line, match, include)) continue;
    const bool quoted = match[1] == "\"";
    const std::string name = match[2];
    std::string why;
    if (quoted) why = refusal(file.path, name);
    if (why.empty() && ends_with(file.path, ".h") && is_cuda_header(name)) why = "no CUDA header in a public header";
    if (why.empty() && !quoted && ends_with(file.path, "_args.h") && name != "cstdint")
      why = "an argument header includes only <cstdint> and kernels/isa.h";
    if (!why.empty()) findings.push_back(str(file.path, ":", number, ": includes ", name, ": ", why));
  }
  return findings;
}

std::vector<FunctionSpan> functions(const std::string& text) {
  std::vector<FunctionSpan> found;
  std::string head;  // the text since the last ; or brace at namespace or class level
  int line = 1, head_line = 1, parentheses = 0, depth = 0;
  bool in_function = false;
  for (char ch : code_only(text)) {
    if (ch == '\n') ++line;
    if (depth > 0) {  // inside a body or an initialiser
      depth += ch == '{' ? 1 : ch == '}' ? -1 : 0;
      if (depth == 0 && in_function) {
        found.push_back({head_line, line, head});
        head.clear();
      }
      continue;
    }
    parentheses += ch == '(' ? 1 : ch == ')' ? -1 : 0;
    if (parentheses == 0 && ch == '{') {
      if (is_scope(head)) {
        head.clear();
      } else {
        depth = 1;
        in_function = is_function(head);
      }
    } else if (parentheses == 0 && (ch == '}' || ch == ';')) {
      head.clear();
    } else if (!head.empty() || !std::isspace(static_cast<unsigned char>(ch))) {
      if (head.empty()) head_line = line;
      head += ch;
    }
  }
  return found;
}

Findings check_sizes(const SourceFile& file) {
  Findings findings;
  const bool example = is_example(file.path);
  if (!is_cpp(file.path) && !example) return findings;
  const int most = example ? max_example_lines : starts_with(file.path, "examples/") ? max_method_lines : max_file_lines;
  auto count = static_cast<int>(lines_of(file.text).size());
  if (count > most) findings.push_back(str(file.path, ": ", count, " lines"));
  if (!is_cpp(file.path)) return findings;
  for (const FunctionSpan& f : functions(file.text)) {
    int length = f.last_line - f.first_line + 1;
    if (length > max_function_lines)
      findings.push_back(str(file.path, ":", f.first_line, ": a function of ", length, " lines: ", f.head.substr(0, 80)));
  }
  return findings;
}

Findings check_words(const SourceFile& file) {
  // In two halves each, so that this file does not contain them.
  static const std::array<std::pair<const char*, const char*>, 12> words = {{{"/wo", "rk/"},
                                                                             {"/ho", "me/"},
                                                                             {"/ro", "ot/"},
                                                                             {"/Us", "ers/"},
                                                                             {"C:\\", "Users"},
                                                                             {"pypi", ".org"},
                                                                             {"pythonhosted", ".org"},
                                                                             {"deb.debian", ".org"},
                                                                             {"archive.ubuntu", ".com"},
                                                                             {"download.pytorch", ".org"},
                                                                             {"registry.npmjs", ".org"},
                                                                             {"proxy.golang", ".org"}}};
  Findings findings;
  int number = 0;
  for (const std::string& line : lines_of(file.text)) {
    ++number;
    for (const auto& [a, b] : words)
      if (line.find(std::string(a) + b) != std::string::npos) findings.push_back(str(file.path, ":", number, ": names ", a, b));
  }
  return findings;
}

Findings check_device_code(const SourceFile& file) {
  Findings findings;
  if (!is_cpp(file.path)) return findings;
  const bool may_assemble =
      file.path == "engine/cuda/ptx.cuh" || !(ends_with(file.path, ".cu") || ends_with(file.path, ".cuh") || ends_with(file.path, ".h"));
  // Without instructions it only holds the optimiser back.
  static const std::regex assembler("(^|[^A-Za-z0-9_])(asm|__asm__|__asm)([^A-Za-z0-9_]|$)"),
      empty("asm(__)?\\s*(volatile\\s*)?\\(\\s*\"\"");
  const std::vector<std::string> lines = lines_of(file.text), code = lines_of(code_only(file.text));
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const bool macro = starts_with(lines[i], "#define");
    const std::string& line = macro ? lines[i] : code[i];
    const std::string where = str(file.path, ":", i + 1, ": ");
    if (!may_assemble && std::regex_search(line, assembler) && !std::regex_search(lines[i], empty))
      findings.push_back(where + "assembler belongs in engine/cuda/ptx.cuh");
    if (line.find("<<<") != std::string::npos) findings.push_back(where + "kernels are launched by g2s::cuda::launch");
  }
  return findings;
}

Findings check_vectors(const SourceFile& file) {
  Findings findings;
  if (!is_cpp(file.path) || file.path == "kernels/simd.isa.h") return findings;
  const std::vector<std::string> code = lines_of(code_only(file.text));
  for (std::size_t i = 0; i < code.size(); ++i)
    if (code[i].find("vector_size") != std::string::npos)
      findings.push_back(str(file.path, ":", i + 1, ": types of vectors belong in kernels/simd.isa.h"));
  return findings;
}

Findings check_options(const SourceFile& file) {
  static const std::set<std::string> libraries = {"engine", "kernels", "models", "weights_converter"};
  // Keys of state files and result.json since the first of them.
  static const std::regex text("\"(([^\"\\\\]|\\\\.)*)\""), option("(^|[^-A-Za-z0-9])--[a-z]"), key("--(crop|device|memory-limit|precision)");
  Findings findings;
  if (!is_cpp(file.path) || ends_with(file.path, ".test.cpp") || !libraries.count(first_folder(file.path))) return findings;
  int number = 0;
  for (const std::string& line : lines_of(file.text)) {
    ++number;
    if (line.find("--") == std::string::npos) continue;  // a regex takes long
    for (std::sregex_iterator it(line.begin(), line.end(), text), end; it != end; ++it) {
      const std::string found = (*it)[1];
      const bool is_key = starts_with(file.path, "models/gan2shape/") && std::regex_match(found, key);
      if (!is_key && std::regex_search(found, option)) findings.push_back(str(file.path, ":", number, ": names the program's option in \"", found, "\""));
    }
  }
  return findings;
}

Findings check_families(const std::vector<std::string>& paths) {
  // Not functions from tensors to a tensor: their tests bring their own golden values.
  static const std::set<std::string> without_table = {"adam", "random"};
  const std::set<std::string> all(paths.begin(), paths.end());
  std::set<std::string> families;
  for (const std::string& path : paths)
    if (starts_with(path, "kernels/") && std::count(path.begin(), path.end(), '/') >= 2)
      families.insert(path.substr(8, path.find('/', 8) - 8));
  Findings findings;
  if (families.empty()) findings.push_back("kernels/ has no families");
  for (const std::string& family : families) {
    const std::string folder = "kernels/" + family + "/";
    std::vector<std::string> wanted = {family + ".h", family + ".cpp", family + ".test.cpp"};
    if (!without_table.count(family)) wanted.insert(wanted.end(), {"cases.json", "oracle.py", "golden.safetensors"});
    for (const std::string& name : wanted)
      if (!all.count(folder + name)) findings.push_back(folder + name + " is missing");
  }
  return findings;
}

std::vector<SourceFile> repository_files(const std::string& root) {
  std::vector<SourceFile> files;
  auto ignored = [](const fs::path& name) {
    const std::string text = name.string();
    return text == ".git" || text == "__pycache__" || text == ".cache" || text == "weights" || text == "python-environment" || starts_with(text, "build") || starts_with(text, "out");
  };
  for (auto it = fs::recursive_directory_iterator(root); it != fs::recursive_directory_iterator(); ++it) {
    if (it.depth() == 0 && ignored(it->path().filename())) {
      it.disable_recursion_pending();
      continue;
    }
    if (it->path().filename() == "__pycache__") it.disable_recursion_pending();
    if (!it->is_regular_file() || ends_with(it->path().string(), ".pyc")) continue;
    std::ifstream in(it->path(), std::ios::binary);
    std::string text(8192, ' ');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    if (text.find('\0') != std::string::npos) text.clear();  // not a text
    else text.append(std::istreambuf_iterator<char>(in), {});
    files.push_back({fs::relative(it->path(), root).generic_string(), text});
  }
  std::sort(files.begin(), files.end(), [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
  return files;
}

}  // namespace g2s::test
