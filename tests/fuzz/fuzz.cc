#include "tests/fuzz/fuzz.h"

#include <malloc.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>

#include "engine/error.h"
#include "engine/picture_files.h"
#include "weights_converter/numbers.h"
#include "weights_converter/plan.h"

namespace {

std::atomic<std::size_t> live{0};  // bytes
std::atomic<std::size_t> limit{SIZE_MAX};

void* allocate(std::size_t bytes) {
  void* block = std::malloc(bytes ? bytes : 1);
  if (!block) throw std::bad_alloc();
  if ((live += malloc_usable_size(block)) > limit) {
    std::fprintf(stderr, "fuzz: more memory is in use than was promised\n");
    std::abort();
  }
  return block;
}

void release(void* block) noexcept {
  if (block) live -= malloc_usable_size(block);
  std::free(block);
}

}  // namespace

void* operator new(std::size_t bytes) { return allocate(bytes); }
void* operator new[](std::size_t bytes) { return allocate(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
void operator delete(void* block) noexcept { release(block); }
void operator delete[](void* block) noexcept { release(block); }
void operator delete(void* block, std::size_t) noexcept { release(block); }
void operator delete[](void* block, std::size_t) noexcept { release(block); }

namespace g2s::test {

Allowance::Allowance(std::size_t bytes) { limit = live + bytes; }
Allowance::~Allowance() { limit = SIZE_MAX; }
std::size_t bytes_in_use() { return live; }

namespace {

using namespace convert;

void read_everything(const std::shared_ptr<const Checkpoint>& checkpoint) {
  constexpr std::uint64_t enough = 1u << 20;  // bytes: more is only more of the same
  std::uint64_t sum = 0;
  for (const SourceTensor& t : checkpoint->tensors) {
    if (t.bytes() > enough) continue;
    stream_numbers(t, t.type, 1, 0, [&](std::string_view piece) { sum += piece.empty() ? 0 : static_cast<unsigned char>(piece.back()); });
    if (can_convert(t.type, NumberType::f16)) stream_numbers(t, NumberType::f16, 0.5, 1, [&](std::string_view piece) { sum += piece.size(); });
  }
  volatile std::uint64_t kept = sum;
  (void)kept;
  make_plan({checkpoint}, {});
}

}  // namespace

void fuzz_picture(PictureReader reader, std::string_view content) {
  constexpr std::int64_t most_pixels = 1 << 18;
  try {
    const ImageInfo info = reader("input", content, false).info;
    if (info.width < 1 || info.height < 1 || info.channels < 1 || info.channels > 4) std::abort();
    if (info.width * info.height > most_pixels) return;
    RawImage image = reader("input", content, true);
    const Tensor& p = image.pixels;
    if (p.rank() != 4 || p.dim(1) != info.height || p.dim(2) != info.width || p.dim(3) != image.info.channels) std::abort();
    if ((p.dtype() == DType::i32) != (image.info.bit_depth == 16)) std::abort();
    to_srgb(image);
  } catch (const Error& e) {
    if (e.op() != "input" || e.message().empty()) std::abort();
  }
}

void fuzz_reader(Format format, const std::uint8_t* data, std::size_t size, const std::string& beside) {
  const Allowance input(2 * (size + beside.size()) + allowance + (4u << 20));  // the input itself is copied once
  try {
    const Bytes file = own_bytes(std::string(reinterpret_cast<const char*>(data), size)), second = beside.empty() ? Bytes{} : own_bytes(beside);
    read_everything(read_checkpoint("input", file, format, second));
  } catch (const Error&) {
    // What bad input should come to.
  }
}

}  // namespace g2s::test
