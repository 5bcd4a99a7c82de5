// Runs a fuzz target where libFuzzer is not at hand, with the same command line: TARGET -max_total_time=SECONDS [-seed=N] CORPUS...
// Every file of the corpus is tried first, cut at every length, then random changes of them. An input that ends the program is left in
// the working directory as crash-TARGET.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

std::string current, crash_name;
std::size_t runs = 0;

// Only what may be done in a signal handler.
extern "C" void keep_input(int signal) {
  const int fd = ::open(crash_name.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (fd >= 0 && ::write(fd, current.data(), current.size()) >= 0) ::close(fd);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(std::string input) {
  current = std::move(input);
  ++runs;
  ::alarm(20);  // an input that takes longer is a finding too
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(current.data()), current.size());
}

class Mutator {
 public:
  Mutator(const std::vector<std::string>& corpus, std::uint64_t seed) : corpus_(corpus), random_(seed) {}

  std::string next() {
    std::string text = corpus_[below(corpus_.size())];
    for (std::size_t n = 1 + below(6); n > 0; --n) change(text);
    return text;
  }

 private:
  std::size_t below(std::size_t n) { return n ? static_cast<std::size_t>(random_() % n) : 0; }

  void change(std::string& text) {
    const std::size_t at = below(text.size() + 1), length = 1 + below(1 + below(16));
    switch (below(7)) {
      case 0: text.resize(at); break;
      case 1: text.erase(at, length); break;
      case 2: text.insert(at, length, static_cast<char>(random_())); break;
      case 3: {  // a piece of another file
        const std::string& other = corpus_[below(corpus_.size())];
        text.insert(at, other.substr(below(other.size() + 1), 1 + below(64)));
        break;
      }
      case 4: {  // a number that lengths and offsets go wrong on
        static constexpr std::uint64_t odd[] = {
            0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff, ~std::uint64_t{0}};
        const std::uint64_t value = odd[below(std::size(odd))] + below(3) - 1;
        char bytes[8];
        std::memcpy(bytes, &value, 8);
        const std::size_t size = std::size_t{1} << below(4);
        text.replace(std::min(at, text.size()), size, bytes, size);
        break;
      }
      case 5:
        if (at < text.size()) text[at] = static_cast<char>(random_());
        break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
    }
  }

  const std::vector<std::string>& corpus_;
  std::mt19937_64 random_;
};

std::vector<std::string> read_corpus(const std::vector<std::string>& places) {
  std::vector<fs::path> files;
  for (const std::string& place : places) {
    if (fs::is_directory(place))
      for (const auto& entry : fs::recursive_directory_iterator(place)) files.push_back(entry.path());
    else files.push_back(place);
  }
  std::sort(files.begin(), files.end());
  std::vector<std::string> corpus;
  for (const fs::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    if (fs::is_regular_file(file)) corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return corpus;
}

}  // namespace

int main(int argc, char** argv) {
  double seconds = 10;
  std::uint64_t seed = 1;
  std::vector<std::string> places;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.rfind("-max_total_time=", 0) == 0) seconds = std::stod(argument.substr(16));
    else if (argument.rfind("-seed=", 0) == 0) seed = std::stoull(argument.substr(6));
    else if (argument[0] != '-') places.push_back(argument);
  }
  crash_name = "crash-" + fs::path(argv[0]).filename().string();
  for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM}) std::signal(signal, keep_input);
  const std::vector<std::string> corpus = read_corpus(places);
  if (corpus.empty()) {
    std::fprintf(stderr, "the corpus is empty\n");
    return 1;
  }
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  for (const std::string& file : corpus) run(file);
  for (const std::string& file : corpus)
    for (std::size_t length = 0; length < file.size() && Clock::now() < end; ++length) run(file.substr(0, length));
  Mutator mutator(corpus, seed);
  while (Clock::now() < end) run(mutator.next());
  ::alarm(0);
  std::printf("%zu inputs, no finding\n", runs);
  return 0;
}
