// With G2S_SIMT_LAUNCHES=FILE the process appends to it, at its end, the address of each kernel within the program and the sizes of its
// blocks. For tools/cuda_report.py.
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <set>
#include <tuple>

#include "engine/simt/hooks.h"

extern "C" char __executable_start;  // of the linker: where the program begins

namespace g2s::simt {
namespace {

class Sizes {
 public:
  ~Sizes() {
    if (!path_) return;
    std::ofstream out(path_, std::ios::app);
    for (const auto& [kernel, threads, bytes] : seen_)
      out << std::hex << kernel - &__executable_start << std::dec << ' ' << threads << ' ' << bytes << '\n';
  }
  void add(const KernelLaunch& launch) {
    if (!path_) return;
    std::lock_guard lock(mutex_);
    seen_.insert({static_cast<const char*>(launch.kernel), launch.threads.count(), launch.shared_bytes});
  }

 private:
  const char* path_ = std::getenv("G2S_SIMT_LAUNCHES");
  std::mutex mutex_;
  std::set<std::tuple<const char*, std::size_t, std::size_t>> seen_;
};

}  // namespace

void note_sizes(const KernelLaunch& launch) {
  static Sizes sizes;
  sizes.add(launch);
}

}  // namespace g2s::simt
