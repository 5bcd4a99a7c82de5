#include "c_api/handles.h"

#include <mutex>
#include <vector>

#include "engine/error.h"
#include "engine/names.h"

namespace g2s::capi {
namespace {

static_assert(sizeof(std::uintptr_t) == 8);

// kind: 8 bits, place: 24 bits, generation: 32 bits. No address of a program has anything in the first 8 but for all ones or zeros.
constexpr int place_bits = 24;
constexpr std::uint32_t most_places = std::uint32_t{1} << place_bits, last_generation = ~std::uint32_t{0};

struct Parts {
  Kind kind;
  std::uint32_t place, generation;
};

std::uintptr_t pack(Parts p) {
  return std::uintptr_t{static_cast<std::uint8_t>(p.kind)} << (32 + place_bits) | std::uintptr_t{p.place} << 32 | p.generation;
}
Parts unpack(std::uintptr_t handle) {
  return {static_cast<Kind>(handle >> (32 + place_bits)), static_cast<std::uint32_t>(handle >> 32) & (most_places - 1),
          static_cast<std::uint32_t>(handle)};
}
bool is_kind(Kind kind) { return kind >= Kind::context && kind <= Kind::faces; }

class Registry {
 public:
  std::uintptr_t add(Kind kind, std::shared_ptr<void> object) {
    std::lock_guard lock(mutex_);
    if (free_.empty()) {
      if (places_.size() == most_places) fail(Errc::out_of_memory, to_string(kind), "there are ", most_places, " handles already");
      places_.emplace_back();
      free_.reserve(places_.capacity());  // remove() must not fail
      free_.push_back(static_cast<std::uint32_t>(places_.size() - 1));
    }
    const std::uint32_t place = free_.back();
    free_.pop_back();
    Place& p = places_[place];
    p.kind = kind;
    p.object = std::move(object);
    ++live_;
    return pack({kind, place, ++p.generation});
  }

  std::shared_ptr<void> find(Kind kind, std::uintptr_t handle, const char* argument) {
    std::lock_guard lock(mutex_);
    return at(kind, handle, argument).object;
  }

  std::shared_ptr<void> remove(Kind kind, std::uintptr_t handle, const char* argument) {
    std::lock_guard lock(mutex_);
    Place& p = at(kind, handle, argument);
    // A place whose generations have run out is not used again.
    if (p.generation != last_generation) free_.push_back(unpack(handle).place);
    --live_;
    return std::exchange(p.object, nullptr);
  }

  std::size_t live() {
    std::lock_guard lock(mutex_);
    return live_;
  }

 private:
  struct Place {
    std::shared_ptr<void> object;
    std::uint32_t generation = 0;
    Kind kind = {};
  };

  Place& at(Kind kind, std::uintptr_t handle, const char* argument) {
    const Parts parts = unpack(handle);
    if (handle == 0) fail(Errc::invalid_argument, argument, "is null, no ", to_string(kind));
    const bool ever =
        is_kind(parts.kind) && parts.place < places_.size() && parts.generation > 0 && parts.generation <= places_[parts.place].generation;
    if (!ever) fail(Errc::invalid_argument, argument, "is no handle of this library");
    if (parts.kind != kind)
      fail(Errc::invalid_argument, argument, "is a handle of a ", to_string(parts.kind), ", not of a ", to_string(kind));
    Place& p = places_[parts.place];
    if (p.generation != parts.generation || p.kind != kind || !p.object)
      fail(Errc::invalid_argument, argument, "is a handle of a ", to_string(kind), " that was freed");
    return p;
  }

  std::mutex mutex_;
  std::vector<Place> places_;
  std::vector<std::uint32_t> free_;
  std::size_t live_ = 0;
};

// Never destroyed: objects with static storage may free their handles after it would be.
Registry& registry() {
  static auto* const all = new Registry;
  return *all;
}

}  // namespace

const char* to_string(Kind kind) {
  return name_of(static_cast<Kind>(static_cast<int>(kind) - 1), {"context", "tensor", "generator", "lpips", "masker", "fit", "text", "face finder"});
}

std::uintptr_t add_handle(Kind kind, std::shared_ptr<void> object) { return registry().add(kind, std::move(object)); }
std::shared_ptr<void> find_handle(Kind kind, std::uintptr_t handle, const char* argument) {
  return registry().find(kind, handle, argument);
}
std::shared_ptr<void> remove_handle(Kind kind, std::uintptr_t handle, const char* argument) {
  return handle == 0 ? nullptr : registry().remove(kind, handle, argument);
}
std::size_t live_handles() { return registry().live(); }

}  // namespace g2s::capi
