// The shape of the repository: docs/architecture.md says why.
#include <doctest/doctest.h>

#include <filesystem>

#include "tests/structure/repository.h"
#include "tests/structure/rules.h"
#include "tests/support/check.h"

using namespace g2s::test;

namespace {

std::string repeated(const std::string& line, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += line;
  return text;
}

bool bad_include(const std::string& from, const std::string& what) { return !check_includes({from, "#include " + what + "\n"}).empty(); }

}  // namespace

TEST_CASE("includes point one way") { apply(check_includes); }
TEST_CASE("files and functions stay short") { apply(check_sizes); }
TEST_CASE("assembler is in one file, and kernels are launched in one way") { apply(check_device_code); }
TEST_CASE("kernels share one layer of vectors") { apply(check_vectors); }
TEST_CASE("libraries name settings, not options") { apply(check_options); }
TEST_CASE("no file names a machine's paths or package hosts") { apply(check_words); }

TEST_CASE("every operator family has its header, table of cases, golden values and test") {
  std::vector<std::string> paths;
  for (const SourceFile& file : repository()) paths.push_back(file.path);
  for (const std::string& finding : check_families(paths)) FAIL_CHECK(finding);
}

TEST_CASE("large files are assets") {
  for (const SourceFile& file : repository()) {
    auto size = std::filesystem::file_size(source_path(file.path));
    bool golden = file.path.rfind("kernels/", 0) == 0 && file.path.find("golden.safetensors") != std::string::npos;
    if (golden) CHECK_MESSAGE(size <= 300 * 1024, file.path, " has ", size, " bytes: smaller shapes do");
    if (file.path.rfind("tests/fuzz/corpus/", 0) == 0)
      CHECK_MESSAGE(size <= 16 * 1024, file.path, " has ", size, " bytes: fuzzing wants small files");
    if (file.path.rfind("assets/", 0) != 0) CHECK_MESSAGE(size <= 1000000, file.path, " has ", size, " bytes");
  }
}

TEST_CASE("the include rule finds what it should") {
  CHECK(bad_include("engine/a.cpp", "\"kernels/conv/conv.h\""));
  CHECK(bad_include("kernels/conv/conv.cpp", "\"models/gan2shape/method.h\""));
  CHECK(bad_include("models/a/a.h", "\"apps/cli.h\""));
  CHECK(bad_include("models/a/a.cpp", "\"kernels/conv/conv_args.h\""));
  CHECK(bad_include("kernels/conv/conv.isa.cpp", "\"kernels/conv/conv.h\""));
  CHECK(bad_include("kernels/conv/conv.isa.cpp", "\"engine/tensor.h\""));
  CHECK(bad_include("kernels/conv/conv.cu", "\"engine/tensor.h\""));
  CHECK(bad_include("kernels/conv/conv_args.h", "\"engine/tensor.h\""));
  CHECK(bad_include("kernels/conv/conv_args.h", "<vector>"));
  CHECK(bad_include("models/a/a.cpp", "\"tests/support/check.h\""));
  CHECK(bad_include("engine/stream.h", "<cuda_runtime.h>"));
  CHECK(bad_include("weights_converter/a.cpp", "\"models/lpips.h\""));
  CHECK(bad_include("weights_converter/a.cpp", "\"kernels/conv/conv.h\""));
  CHECK(bad_include("models/a/a.cpp", "\"weights_converter/checkpoint.h\""));
  CHECK(bad_include("examples/method.cpp", "\"models/gan2shape/steps.h\""));
  CHECK(bad_include("examples/method.cpp", "\"tests/support/check.h\""));
  CHECK(!bad_include("examples/method.cpp", "\"models/lpips.h\""));
  CHECK(!bad_include("examples/cpp/fit_latent.cpp", "\"models/gan2shape/weights.h\""));
  CHECK(!bad_include("apps/convert.cpp", "\"weights_converter/checkpoint.h\""));
  CHECK(!bad_include("kernels/conv/conv.isa.cpp", "\"engine/parallel.h\""));
  CHECK(!bad_include("kernels/conv/conv.cu", "\"engine/cuda/launch.cuh\""));
  CHECK(!bad_include("kernels/conv/conv.cpp", "\"kernels/conv/conv_args.h\""));
  CHECK(!bad_include("models/a/a.cpp", "\"kernels/conv/conv.h\""));
  CHECK(!bad_include("kernels/conv/conv.test.cpp", "\"tests/support/cases.h\""));
  CHECK(!bad_include("apps/main.cpp", "\"models/a/a.h\""));
}

TEST_CASE("the size rule finds what it should") {
  CHECK(check_sizes({"a.cpp", repeated("int x;\n", 700)}).size() == 1);
  CHECK(check_sizes({"a.cpp", repeated("int x;\n", 500)}).empty());
  CHECK(check_sizes({"notes.md", repeated("text\n", 5000)}).empty());
  CHECK(check_sizes({"examples/method.cpp", repeated("int x;\n", 600)}).empty());
  CHECK(check_sizes({"examples/python/a.py", repeated("x = 1\n", 60)}).size() == 1);
  CHECK(check_sizes({"examples/c/a.c", repeated("int x;\n", 59)}).empty());
  const std::string body = repeated("  f(\"{\"); // }\n", 90);
  CHECK(check_sizes({"a.cpp", "namespace a {\nstruct B {\n  int g(int x = {}) const {\n" + body + "  }\n};\n}\n"}).size() == 1);
  CHECK(check_sizes({"a.cpp", "namespace a {\nB::B() : x_{1}, y_(2) {\n" + body + "}\n}\n"}).size() == 1);
  CHECK(check_sizes({"a.cpp", "TEST_CASE(\"long one\") {\n" + body + "}\n"}).size() == 1);
  CHECK(check_sizes({"a.cpp", "namespace a {\n" + repeated("int f() {\n  return 1;\n}\n", 60) + "}\n"}).empty());
  CHECK(check_sizes({"a.cpp", "const int table[] = {\n" + repeated("  1,\n", 200) + "};\n"}).empty());
  auto spans = functions(
      "// f() {\nint f(int a,\n      int b) {\n  if (a) { return b; }\n  return 2;\n}\n\nclass C {\n  int g() { return '{'; }\n};\n");
  REQUIRE(spans.size() == 2);
  CHECK(spans[0].first_line == 2);
  CHECK(spans[0].last_line == 6);
  CHECK(spans[1].first_line == 9);
  CHECK(spans[1].last_line == 9);
}

TEST_CASE("the rule on device code finds what it should") {
  const std::string kernel = "kernels/conv/conv.cu";
  CHECK(check_device_code({kernel, "  asm volatile(\"mov.u32 %0, %1;\" : \"=r\"(a) : \"r\"(b));\n"}).size() == 1);
  CHECK(check_device_code({"kernels/conv/conv.cuh", "#define LOAD(a) __asm__(\"ld\" : \"=r\"(a))\n"}).size() == 1);
  CHECK(check_device_code({kernel, "  asm volatile(\"\" : \"+r\"(v));  // keeps v\n"}).empty());
  CHECK(check_device_code({kernel, "// no asm here: asm(\"x\")\nint basm(int);\n"}).empty());
  CHECK(check_device_code({"engine/cuda/ptx.cuh", "asm volatile(\"bar\");\n"}).empty());
  CHECK(check_device_code({kernel, std::string("f<<") + "<1, 32>>>(x);\n"}).size() == 1);
  CHECK(check_device_code({kernel, "launch({\"f\", 1, 32}, f, x << 2);\n"}).empty());
}

TEST_CASE("the other rules find what they should") {
  const std::string vector = "typedef float V __attribute__((vector_size(64)));\n";
  CHECK(check_vectors({"kernels/conv/winograd.isa.cpp", vector}).size() == 1);
  CHECK(check_vectors({"kernels/simd.isa.h", vector}).empty());
  CHECK(check_includes({"kernels/conv/conv.cpp", "#include \"kernels/vector_math.isa.h\"\n"}).size() == 1);
  CHECK(check_options({"models/a.cpp", "fail(Errc::io, path, \"give its mask with --mask\");\n"}).size() == 1);
  CHECK(check_options({"engine/a.cpp", "fail(code, \"--device\", \"no\");\n"}).size() == 1);
  CHECK(check_options({"models/gan2shape/a.cpp", "identity[\"--device\"] = \"x\";\nfor (; n > 0; --n) f(\"a--b\");\n"}).empty());
  CHECK(check_options({"apps/a.cpp", "fail(code, \"--device\", \"no\");\n"}).empty());
  CHECK(check_words({"a.md", std::string("see /ho") + "me/me/x\n"}).size() == 1);
  CHECK(check_words({"a.md", "see docs/architecture.md\n"}).empty());
  CHECK(check_families({"kernels/conv/conv.h"}).size() == 5);
  CHECK(check_families({"kernels/isa.h"}).size() == 1);
  const std::string f = "kernels/conv/";
  CHECK(check_families({f + "conv.h", f + "conv.cpp", f + "conv.test.cpp", f + "cases.json", f + "oracle.py", f + "golden.safetensors"})
            .empty());
}
