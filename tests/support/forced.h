// A choice forced for the life of an object.
#pragma once

#include <optional>

namespace g2s::test {

// `force` takes a wish, or nothing, and gives what was forced until then, which comes back at the end.
template <auto force>
class Forced {
 public:
  using Wish = decltype(force(std::nullopt));
  explicit Forced(Wish wish) : before_(force(wish)) {}
  ~Forced() { force(before_); }
  Forced(const Forced&) = delete;

 private:
  Wish before_;
};

}  // namespace g2s::test
