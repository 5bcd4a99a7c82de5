// With G2S_SIMT_PTX=FOLDER the emulated device runs the kernels of FOLDER/*.ptx by interpreting what nvcc compiled, all others as usual. A kernel is found by
// its name in C++: the two compilers number local names differently. At its end the process lists kernels and instructions in FOLDER/interpreted.txt.
#include <cxxabi.h>
#include <elf.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <sstream>

#include "engine/error.h"
#include "engine/files.h"
#include "engine/simt/hooks.h"
#include "tests/ptx/machine.h"

extern "C" char __executable_start;  // of the linker: where the program begins

namespace g2s::ptx {
namespace {

std::string demangled(const char* symbol) {
  int status = 0;
  char* text = abi::__cxa_demangle(symbol, nullptr, nullptr, &status);
  const std::string name = status == 0 ? text : symbol;
  std::free(text);
  return name;
}

// Functions of this program, by address: from its table of symbols.
std::map<std::uint64_t, std::string> symbols() {
  const std::string file = read_file("/proc/self/exe", std::size_t{1} << 31);
  const char* base = file.data();
  Elf64_Ehdr head;
  std::memcpy(&head, base, sizeof head);
  std::map<std::uint64_t, std::string> found;
  std::vector<Elf64_Shdr> sections(head.e_shnum);
  std::memcpy(sections.data(), base + head.e_shoff, sizeof(Elf64_Shdr) * head.e_shnum);
  for (const Elf64_Shdr& s : sections) {
    if (s.sh_type != SHT_SYMTAB) continue;
    const char* names = base + sections[s.sh_link].sh_offset;
    for (std::uint64_t at = 0; at < s.sh_size; at += sizeof(Elf64_Sym)) {
      Elf64_Sym symbol;
      std::memcpy(&symbol, base + s.sh_offset + at, sizeof symbol);
      if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_value) found[symbol.st_value] = names + symbol.st_name;
    }
  }
  const bool moved = head.e_type == ET_DYN;  // addresses are then from the beginning of the program
  if (!moved) fail(Errc::unsupported, "G2S_SIMT_PTX", "the program is not position independent");
  return found;
}

class Kernels {
 public:
  explicit Kernels(const char* folder) : folder_(folder) {
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      if (entry.path().extension() == ".ptx")
        modules_.push_back(parse(entry.path().filename().string(), read_file(entry.path().string(), std::size_t{1} << 30)));
    if (modules_.empty()) fail(Errc::io, folder, "holds no .ptx files");
    for (const Module& m : modules_)
      for (const auto& [name, f] : m.functions)
        if (f.entry) by_name_[demangled(name.c_str())] = {&m, &f};
    for (const auto& [address, symbol] : symbols()) {
      auto kernel = by_name_.find(demangled(symbol.c_str()));
      if (kernel != by_name_.end()) by_address_[address] = kernel->second;
    }
  }

  ~Kernels() {
    std::ofstream out(folder_ + "/interpreted.txt", std::ios::app);
    for (const std::string& name : launched_) out << name << '\n';
    out << executed() << " instructions\n";
  }

  bool run(const simt::KernelLaunch& l, const void* const* arguments, std::size_t count) {
    auto found = by_address_.find(static_cast<std::uint64_t>(static_cast<const char*>(l.kernel) - &__executable_start));
    if (found == by_address_.end()) return false;
    {
      std::lock_guard lock(mutex_);
      launched_.insert(l.name);
    }
    const auto& [module, function] = found->second;
    ptx::run(*module, *function, {{l.blocks.x, l.blocks.y, l.blocks.z}, {l.threads.x, l.threads.y, l.threads.z}, l.shared_bytes},
             std::vector<const void*>(arguments, arguments + count));
    return true;
  }

 private:
  std::string folder_;
  std::vector<Module> modules_;
  std::map<std::string, std::pair<const Module*, const Function*>> by_name_;
  std::map<std::uint64_t, std::pair<const Module*, const Function*>> by_address_;
  std::mutex mutex_;
  std::set<std::string> launched_;
};

}  // namespace
}  // namespace g2s::ptx

namespace g2s::simt {

bool run_elsewhere(const KernelLaunch& launch, const void* const* arguments, std::size_t count) {
  static const char* folder = std::getenv("G2S_SIMT_PTX");
  if (!folder) return false;
  static ptx::Kernels kernels(folder);
  return kernels.run(launch, arguments, count);
}

}  // namespace g2s::simt
