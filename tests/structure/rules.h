// The rules that keep the repository in shape, as functions of a file's name and text, so that each can be tried on bad samples too.
#pragma once

#include <string>
#include <vector>

namespace g2s::test {

struct SourceFile {
  std::string path;  // relative to the repository: kernels/conv/conv.cpp
  std::string text;
};

using Findings = std::vector<std::string>;  // one line each, naming file and line

// apps or examples -> models -> kernels/<family>/X.h -> engine, apps -> weights_converter -> engine; who may see POD arguments, tests and CUDA headers.
Findings check_includes(const SourceFile& file);
// No C++ file over 500 lines, examples/method.cpp over 600, other example of 60 or more; no function over about 80.
Findings check_sizes(const SourceFile& file);
// No paths of one machine, no hosts of package registries.
Findings check_words(const SourceFile& file);
// Assembler of a GPU is in engine/cuda/ptx.cuh alone; a kernel is launched by g2s::cuda::launch, which the emulator and the list of launches
// know.
Findings check_device_code(const SourceFile& file);
// The CPU's vectors are those of kernels/simd.isa.h.
Findings check_vectors(const SourceFile& file);
// What lies below apps/ names settings, not the program's options: other programs have others.
Findings check_options(const SourceFile& file);
// What every kernels/<family> holds, from the paths of all files.
Findings check_families(const std::vector<std::string>& paths);

// Comments, strings and preprocessor lines blanked out, line breaks kept.
std::string code_only(const std::string& text);

// The functions of a C++ text, by an approximate reading: bodies at namespace or class level that follow a parameter list.
struct FunctionSpan {
  int first_line, last_line;
  std::string head;
};
std::vector<FunctionSpan> functions(const std::string& text);

// All text files and all paths of the repository, without build and output folders.
std::vector<SourceFile> repository_files(const std::string& root);

}  // namespace g2s::test
