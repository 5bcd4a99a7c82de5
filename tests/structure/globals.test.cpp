// State of the process: none may decide a result. What there is nevertheless is listed here and explained in docs/architecture.md.
#include <doctest/doctest.h>

#include <algorithm>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "engine/error.h"
#include "engine/files.h"
#include "tests/structure/rules.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

// file: name. Everything else belongs into a Context (engine/context.h) or ThreadState (engine/thread_state.h).
const std::set<std::string> allowed = {
    "apps/commands.cpp: interrupted",
    "apps/commands.cpp: running",
    "c_api/call.cpp: in_thread",
    "c_api/handles.cpp: all",
    "engine/allocator.cpp: cpu",
    "engine/autograd.cpp: next_sequence",
    "engine/context.cpp: context",
    "engine/context.cpp: in_default_context",
    "engine/context.cpp: state",
    "engine/cuda/cuda_accelerator.cu: a",
    "engine/cuda/cuda_accelerator.cu: all",
    "engine/cuda/cuda_accelerator.cu: mutex",
    "engine/files.cpp: counter",
    "kernels/matmul/constant_cache.cpp: mutex",
};

// Variables of a file that outlive a call and are not constant: thread_local, static in functions and classes, and those of namespaces, which
// this code base does not indent.
std::vector<std::string> mutable_globals(const std::string& path, const std::string& code) {
  static const std::regex in_function(R"(^\s+(?:inline\s+)?((?:static|thread_local)\s+(?:static\s+|thread_local\s+)?)(?!const\b|constexpr\b|__device__|__global__)(.*))"),
      at_namespace(
          R"(^(?!using\b|namespace\b|class\b|struct\b|enum\b|union\b|template\b|typedef\b|friend\b|constexpr\b|const\b|inline constexpr\b|static const|extern\b|return\b|static_assert\b|else\b|case\b|default\b)[A-Za-z_][\w:<>,\s*&]*?[\s*&](\w+)\s*(?:=[^=]|;|\{|\[).*)"),
      name_of(R"(^[\w:<>,\s*&]*?[\s*&](\w+)\s*(?:=|;|\{|\[|\().*)");
  const std::vector<FunctionSpan> bodies = functions(code);
  std::vector<std::string> found;
  int number = 0;
  std::size_t begin = 0;
  while (begin < code.size()) {
    const std::size_t end = std::min(code.find('\n', begin), code.size());
    const std::string line = code.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    std::smatch match, name;
    if (std::regex_match(line, match, in_function)) {
      const std::string rest = match[2];
      const bool inside = std::any_of(bodies.begin(), bodies.end(), [&](const FunctionSpan& f) {
        return f.first_line + std::count(f.head.begin(), f.head.end(), '\n') < number && number <= f.last_line;
      });
      if (!std::regex_match(rest, name, name_of)) continue;
      // static in a class and then a parenthesis: a function.
      if (!inside && rest.find('(') < rest.find_first_of("=;{")) continue;
      found.push_back(str(path, ": ", name[1].str()));
    } else if (std::regex_match(line, match, at_namespace)) {
      found.push_back(str(path, ": ", match[1].str()));
    }
  }
  return found;
}

std::vector<std::string> found_in(const std::string& code) { return mutable_globals("f", code_only(code)); }

}  // namespace

TEST_CASE("state of the process is what docs/architecture.md lists") {
  std::set<std::string> left = allowed;
  const std::string page = read_file(source_path("docs/architecture.md"));
  for (const SourceFile& file : repository_files(source_path(""))) {
    const std::string& p = file.path;
    const bool product = p.rfind("engine/", 0) == 0 || p.rfind("kernels/", 0) == 0 || p.rfind("models/", 0) == 0 ||
                         p.rfind("weights_converter/", 0) == 0 || p.rfind("apps/", 0) == 0 || p.rfind("c_api/", 0) == 0;
    const bool code = p.ends_with(".cpp") || p.ends_with(".h") || p.ends_with(".cu") || p.ends_with(".cuh");
    // The emulator is a machine: its state is that machine's.
    if (!product || !code || p.ends_with(".test.cpp") || p.rfind("engine/simt/", 0) == 0) continue;
    for (const std::string& entry : mutable_globals(p, code_only(file.text))) {
      CHECK_MESSAGE(allowed.count(entry) == 1, entry, " is state of the process: it belongs into a Context or ThreadState");
      left.erase(entry);
      CHECK_MESSAGE(page.find("`" + p + "`") != std::string::npos, "docs/architecture.md does not say why ", p, " has state of the process");
    }
  }
  for (const std::string& entry : left) FAIL_CHECK(entry, " is gone: take it off the list");
}

TEST_CASE("the rule on state of the process finds what it should") {
  CHECK(found_in("namespace a {\nstd::atomic<int> chosen{0};\nstd::mutex mutex;\nbool failed = false;\nint table[4];\n}\n").size() == 4);
  CHECK(found_in("namespace a {\nconstexpr int n = 3;\nconst std::regex r(\"x\");\nusing B = C;\nint f(int a);\nstruct D;\nextern int e;\n}\n").empty());
  CHECK(found_in("thread_local int depth = 0;\n").size() == 1);
  CHECK(found_in("int f() {\n  static std::map<int, int> known;\n  static auto* p = new int;\n  static T* const q = new T;\n  static X x(3);\n}\n").size() == 4);
  CHECK(found_in("T& f() {\n  static thread_local T t;\n  return t;\n}\n").size() == 1);
  CHECK(found_in("int f() {\n  static const int n = count();\n  static constexpr int m = 1;\n  static const Api* const api = new Api;\n}\n").empty());
  CHECK(found_in("class A {\n  static Tensor empty(const Shape& shape, int x = 3);\n  static bool g() { return true; }\n};\n").empty());
  CHECK(found_in("class A {\n  template <class T>\n  static Tensor from(const T& v) {\n    return f(v);\n  }\n};\n").empty());
  CHECK(found_in("class A {\n  static int count;\n};\n").size() == 1);
  CHECK(found_in("// static int x;\nint f() {\n  return 1;\n}\n").empty());
}
