// The C interface: bytes become a sequence of calls with null pointers, sizes that are wrong or overflow, handles that are freed, of
// another type or never were. Every call must end with a status that says what was wrong, never as a mistake of the library's, and leave
// nothing behind.
//
// What nobody could tell from the truth is not tried: a pointer to memory that is not there. Masks take seconds, so maskers are only asked
// with handles that are none.
#include <dlpack/dlpack.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "c_api/handles.h"
#include "engine/allocator.h"
#include "gan2shape/gan2shape.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/tiny_generator.h"

namespace {

using namespace g2s;
using namespace g2s::test;

constexpr std::size_t most_calls = 32, memory_bytes = 1 << 18;
constexpr std::int64_t most_compared = 2 * 16 * 16 * 3;     // by the distance, which takes long
constexpr std::size_t most_memory = std::size_t{64} << 20;  // of operator new, in one input; tensors have their own, which a context limits

// For as long as the program runs: a folder with a generator in it, and what takes long to load.
struct Files {
  // In memory where there is such a place: pictures wait until they are on the disk.
  std::filesystem::path folder = (std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path()) /
                                 ("fuzz_c_api_" + std::to_string(getpid()));
  std::string generator = folder / "tiny.safetensors", absent = folder / "absent.png", picture = folder / "picture.png",
              nowhere = folder / "no" / "x.png";
  g2s_context context = nullptr;
  g2s_lpips lpips = nullptr;

  Files() {
    std::filesystem::create_directories(folder);
    write_tiny_generator(generator);
    if (g2s_context_new(nullptr, &context) != G2S_OK ||
        g2s_lpips_load(context, G2S_SOURCE_DIR "/assets/lpips_vgg.safetensors", &lpips) != G2S_OK)
      std::abort();
  }
  ~Files() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
};

const Files& files() {
  static const Files all;
  return all;
}

[[noreturn]] void finding(const char* what) {
  std::fprintf(stderr, "fuzz: %s (%s)\n", what, g2s_last_error());
  std::abort();
}

class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
  bool more() const { return left_ > 0; }
  std::uint8_t byte() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }
  std::uint64_t word() {
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | byte();
    return value;
  }
  // One that sizes go wrong on, a small one, or any.
  std::int64_t number() {
    static constexpr std::int64_t odd[] = {INT64_MAX,
                                           INT64_MIN,
                                           INT64_MAX / 4,
                                           INT64_MIN / 4,
                                           INT64_MAX / 16 + 1,
                                           -1,
                                           std::int64_t{1} << 32,
                                           std::int64_t{1} << 48,
                                           -(std::int64_t{1} << 61),
                                           INT32_MAX,
                                           INT32_MIN,
                                           1 << 16};
    const std::uint8_t b = byte();
    if (b < 128) return b;
    if (b < 128 + std::size(odd)) return odd[b - 128];
    return b < 200 ? 127 - b : static_cast<std::int64_t>(word());
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

class Calls {
 public:
  Calls(const std::uint8_t* data, std::size_t size) : in_(data, size), memory_(memory_bytes / 8) {}

  bool compared() const { return compared_; }
  void run() {
    for (std::size_t i = 0; i < most_calls && in_.more(); ++i) one();
    for (DLManagedTensor* managed : shared_) managed->deleter(managed);
    free_all(contexts_, g2s_context_free);
    free_all(generators_, g2s_generator_free);
    free_all(tensors_, g2s_tensor_free);
    free_all(texts_, g2s_text_free);
    if (taken_ != released_) finding("the deleter of a tensor was not called once");
  }

 private:
  void checked(g2s_status status) {
    if (status < G2S_OK || status > G2S_BUSY || status == G2S_INTERNAL) finding("a status that no input may lead to");
    if (status != G2S_OK && !*g2s_last_error()) finding("a failure without a sentence");
    if (std::strcmp(g2s_status_name(status), "unknown status") == 0) finding("a status without a name");
  }
  template <class Handle>
  void given(g2s_status status, const Handle& handle, std::vector<Handle>& all) {
    checked(status);
    if ((status == G2S_OK) != (handle != nullptr)) finding("a handle of a call that failed, or none of one that did not");
    if (handle) all.push_back(handle);
  }
  template <class Handle>
  void free_all(std::vector<Handle>& all, g2s_status (*free)(Handle)) {
    for (Handle handle : all) checked(free(handle));
    for (Handle handle : all)
      if (free(handle) != G2S_INVALID_ARGUMENT) finding("a handle that was freed is taken");
  }

  // One of these, which may be freed already; or null, one of another type, any bits.
  template <class Handle>
  Handle handle(const std::vector<Handle>& all) {
    const std::uint8_t b = in_.byte();
    if (b < 224) return all.empty() ? nullptr : all[b % all.size()];
    if (b < 232) return nullptr;
    if (b < 240 && !contexts_.empty()) return reinterpret_cast<Handle>(contexts_[b % contexts_.size()]);
    if (b < 248 && !tensors_.empty()) return reinterpret_cast<Handle>(tensors_[b % tensors_.size()]);
    return reinterpret_cast<Handle>(in_.word());
  }
  template <class Handle>
  void free_one(std::vector<Handle>& all, g2s_status (*free)(Handle)) { checked(free(handle(all))); }
  const char* path() {
    const Files& f = files();
    const char* all[] = {f.generator.c_str(), nullptr, f.absent.c_str(), f.nowhere.c_str(), "", f.folder.c_str(), f.picture.c_str()};
    return all[in_.byte() % std::size(all)];
  }
  const char* path_to_write() {
    const Files& f = files();
    const char* all[] = {nullptr, f.nowhere.c_str(), "", f.folder.c_str(), f.picture.c_str()};
    return all[in_.byte() % std::size(all)];
  }

  // An array of `most_elements` at most, or null.
  const g2s_array* array(std::int64_t most_elements = memory_bytes) {
    static constexpr std::array<std::array<std::int64_t, 5>, 12> usual = {{{2, 2, tiny_latent},
                                                                           {3, 2, tiny_latents, tiny_latent},
                                                                           {4, 2, tiny_size, tiny_size, 3},
                                                                           {3, tiny_size, tiny_size, 3},
                                                                           {2, 1, tiny_latent},
                                                                           {1, tiny_latent},
                                                                           {4, 1, tiny_size, tiny_size, 3},
                                                                           {2, 0, tiny_latent},
                                                                           {0},
                                                                           {4, 1, 16, 16, 3},
                                                                           {1, 1},
                                                                           {3, 16, 16, 3}}};
    const std::uint8_t b = in_.byte();
    if (b >= 250) return nullptr;
    const auto& shape = usual[b % usual.size()];
    arrays_.push_back(g2s_array_of(memory_.data() + memory_.size() / 2, G2S_F32, static_cast<int32_t>(shape[0]), shape.data() + 1));
    g2s_array& a = arrays_.back();
    for (std::uint8_t changes = b / usual.size() % 4; changes > 0; --changes) change(a);
    if (!harmless(a, most_elements)) a.data = nullptr;
    return &a;
  }
  void change(g2s_array& a) {
    const std::uint8_t what = in_.byte();
    switch (what % 9) {
      case 0: a.dtype = static_cast<int32_t>(in_.byte()) % 8 - 1; return;
      case 1: a.shape[what / 9 % G2S_MAX_RANK] = in_.number(); return;
      case 2: a.strides[what / 9 % G2S_MAX_RANK] = in_.number(); return;
      case 3: a.data = nullptr; return;
      case 4: a.data = static_cast<char*>(a.data) + (a.data ? what / 9 % 8 : 0); return;
      case 5: a.rank = static_cast<int32_t>(in_.number()); return;
      case 6: a.device_type = static_cast<int32_t>(in_.byte()) % 4 - 1; return;
      case 7: a.device_index = static_cast<int32_t>(in_.number()); return;
      default: {  // backwards
        std::int64_t& stride = a.strides[what / 9 % G2S_MAX_RANK];
        stride = static_cast<std::int64_t>(-static_cast<std::uint64_t>(stride));
      }
    }
  }
  // Whether all elements lie in memory_ and are not too many for a test; or so far away that it must be refused.
  static bool harmless_size(__int128 elements, std::int64_t most_elements) {
    return elements <= most_elements || elements > (static_cast<__int128>(1) << 45);
  }
  bool harmless(const g2s_array& a, std::int64_t most_elements) const {
    if (a.rank < 0 || a.rank > G2S_MAX_RANK || a.dtype < G2S_F32 || a.dtype > G2S_U8 || !a.data) return true;
    static constexpr int sizes[] = {4, 8, 2, 2, 4, 1};
    const __int128 size = sizes[a.dtype], most = static_cast<__int128>(1) << 63;
    __int128 low = 0, high = 0, elements = 1;
    for (int i = 0; i < a.rank; ++i) {
      if (a.shape[i] <= 0) return true;  // refused, or nothing to read
      elements = std::min<__int128>(elements * a.shape[i], most);
      __int128& end = a.strides[i] < 0 ? low : high;
      end = std::clamp<__int128>(end + static_cast<__int128>(a.strides[i]) * (a.shape[i] - 1), -2 * most, 2 * most);
    }
    if (low * size < -most || high * size > most || elements * size >= most) return true;
    const __int128 begin = static_cast<char*>(a.data) - reinterpret_cast<const char*>(memory_.data());
    const bool inside = begin + low * size >= 0 && begin + (high + 1) * size <= static_cast<__int128>(memory_bytes);
    return inside && harmless_size(elements, most_elements);
  }

  void new_context() {
    struct Padded {
      g2s_context_options options;
      char more[4096];
    } given_options{};
    g2s_context_options_init(&given_options.options);
    g2s_context_options& o = given_options.options;
    o.threads = 1;
    o.memory_limit = std::uint64_t{256} << 20;
    o.log = [](void*, const char*) {};
    o.progress = [](void* user, const g2s_progress*) { return user ? 1 : 0; };
    static const char* const devices[] = {"cpu", nullptr, "cuda:9", "cuda:-1", "", "auto", "tpu"};
    static const char* const precisions[] = {"f32", nullptr, "bf16", "tf32", "f8", ""};
    for (std::uint8_t changes = in_.byte() % 4; changes > 0; --changes) {
      switch (in_.byte() % 7) {
        case 0: o.threads = static_cast<int32_t>(std::min<std::int64_t>(in_.number(), 2)); break;
        case 1: o.device = devices[in_.byte() % std::size(devices)]; break;
        case 2: o.precision = precisions[in_.byte() % std::size(precisions)]; break;
        case 3: o.struct_size = static_cast<std::uint32_t>(in_.number()); break;
        case 4: o.assets = path(); break;
        case 5: o.stream = memory_.data(); break;
        default: given_options.more[in_.byte()] = static_cast<char>(in_.byte());
      }
    }
    g2s_context context = nullptr;
    given(g2s_context_new(&o, &context), context, contexts_);
  }

  void take_tensor() {
    g2s_array a{};
    if (const g2s_array* some = array()) a = *some;
    auto* managed = new DLManagedTensor{};
    managed->dl_tensor.data = a.data;
    managed->dl_tensor.device = {static_cast<DLDeviceType>(a.device_type + 1), a.device_index};
    managed->dl_tensor.ndim = a.rank;
    managed->dl_tensor.shape = a.shape;
    managed->dl_tensor.strides = in_.byte() % 2 ? a.strides : nullptr;
    managed->dl_tensor.dtype = {static_cast<std::uint8_t>(in_.byte() % 6), static_cast<std::uint8_t>(8 << in_.byte() % 5), 1};
    managed->manager_ctx = &released_;
    managed->deleter = [](DLManagedTensor* self) {
      ++*static_cast<int*>(self->manager_ctx);
      delete self;
    };
    g2s_tensor tensor = nullptr;
    const g2s_status status = g2s_tensor_from_dlpack(managed, &tensor);
    given(status, tensor, tensors_);
    if (status == G2S_OK) ++taken_;
    else delete managed;
  }

  void share_tensor() {
    DLManagedTensor* managed = nullptr;
    const g2s_status status = g2s_tensor_to_dlpack(handle(tensors_), &managed);
    given(status, managed, shared_);
  }

  void one() {
    const std::uint8_t which = in_.byte() % 25;
    if (which < 10) call_on_objects(which);
    else call_on_networks(which);
  }

  void call_on_objects(std::uint8_t which) {
    g2s_text text = nullptr;
    g2s_array view{};
    switch (which) {
      case 0: return new_context();
      case 1: return free_one(contexts_, g2s_context_free);
      case 2: return checked(g2s_context_cancel(handle(contexts_)));
      case 3: return checked(g2s_context_resume(handle(contexts_)));
      case 4: return given(g2s_context_describe(handle(contexts_), &text), text, texts_);
      case 5:
        if (std::strlen(g2s_text_get(handle(texts_))) > 4096) finding("a text without an end");
        return free_one(texts_, g2s_text_free);
      case 6: return take_tensor();
      case 7: return share_tensor();
      case 8: return checked(g2s_tensor_view(handle(tensors_), in_.byte() % 8 ? &view : nullptr));
      default: return free_one(tensors_, g2s_tensor_free);
    }
  }

  void call_on_networks(std::uint8_t which) {
    g2s_generator generator = nullptr;
    g2s_tensor tensor = nullptr;
    g2s_generator_info info{};
    // Not in the list of a call, whose arguments may be read in any order.
    const g2s_generator g = handle(generators_);
    const g2s_lpips lpips =
        std::find(generators_.begin(), generators_.end(), g) != generators_.end() ? files().lpips : reinterpret_cast<g2s_lpips>(g);
    compared_ = compared_ || which == 22 || which == 23;
    std::array<const g2s_array*, 5> a{};
    const auto arrays = [&](std::size_t count, std::int64_t most_elements = memory_bytes) {
      arrays_.clear();
      arrays_.reserve(a.size());
      for (std::size_t i = 0; i < count; ++i) a[i] = array(most_elements);
    };
    switch (which) {
      case 10:
      case 11: {
        const g2s_context context = handle(contexts_);
        return given(g2s_generator_load(context, path(), &generator), generator, generators_);
      }
      case 12: return checked(g2s_generator_free(g));
      case 13:
        info.struct_size = static_cast<std::uint32_t>(std::min<std::int64_t>(in_.number(), sizeof info));
        return checked(g2s_generator_get_info(g, &info));
      case 14: arrays(2); return checked(g2s_generator_mapping(g, a[0], a[1]));
      case 15: arrays(1); return checked(g2s_generator_mean_latent(g, in_.byte(), std::min<std::int64_t>(in_.number(), 5000), a[0]));
      case 16:
      case 17: arrays(2); return checked(g2s_generator_picture(g, a[0], a[1]));
      case 18:
      case 19: arrays(4); return checked(g2s_generator_vjp(g, a[0], a[1], a[2], a[3]));
      case 20: return given(g2s_picture_read(path(), &tensor), tensor, tensors_);
      case 21: arrays(1); return checked(g2s_picture_write(path_to_write(), a[0]));
      case 22: arrays(3, most_compared); return checked(g2s_lpips_distance(lpips, a[0], a[1], a[2]));
      case 23: arrays(5, most_compared); return checked(g2s_lpips_gradient(lpips, a[0], a[1], a[2], a[3], a[4]));
      default: arrays(2); return checked(g2s_masker_find(reinterpret_cast<g2s_masker>(g), a[0], a[1]));
    }
  }

  Bytes in_;
  std::vector<double> memory_;
  std::vector<g2s_array> arrays_;
  std::vector<g2s_context> contexts_;
  std::vector<g2s_generator> generators_;
  std::vector<g2s_tensor> tensors_;
  std::vector<g2s_text> texts_;
  std::vector<DLManagedTensor*> shared_;
  int taken_ = 0, released_ = 0;
  bool compared_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  files();  // two handles
  static std::size_t least_in_use = 0;
  const std::size_t tensors = allocator({}).stats().in_use;
  Calls calls(data, size);
  {
    const Allowance input(most_memory);
    calls.run();
  }
  if (capi::live_handles() != 2) finding("handles are left");
  // The distance, which stays, keeps forms of its weights that it has once needed.
  if (!calls.compared() && allocator({}).stats().in_use != tensors) finding("tensors are left");
  // Tables of the process grow to what was in use at most, and not with each input.
  if (least_in_use == 0) least_in_use = bytes_in_use();
  if (bytes_in_use() > least_in_use + (1u << 20)) finding("memory is left");
  return 0;
}
