// For tests of reconstructions through the C interface: the shortest fit there is.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "c_api/arrays.h"
#include "engine/image.h"
#include "gan2shape/gan2shape.h"
#include "models/gan2shape/reconstruction.h"
#include "tests/support/c_interface.h"
#include "tests/support/check.h"

namespace g2s::test {

// The call failed so, and said so.
inline void refused(g2s_status got, g2s_status want, const std::string& sentence) {
  CHECK(std::string(g2s_status_name(got)) == g2s_status_name(want));
  INFO(g2s_last_error());
  CHECK(std::string(g2s_last_error()).find(sentence) != std::string::npos);
}

// What the callback of a context is to do after iteration number `seen`.
struct Watcher {
  int seen = 0;
  std::vector<std::string> stages = {};
  std::function<int(int)> then = {};
  static int told(void* user, const g2s_progress* p) {
    auto& watcher = *static_cast<Watcher*>(user);
    watcher.stages.push_back(p->stage);
    CHECK(p->struct_size == sizeof *p);
    CHECK(p->seconds_left >= 0);
    ++watcher.seen;
    return watcher.then ? watcher.then(watcher.seen) : 0;
  }
};

struct FitContext {
  Watcher watcher;
  g2s_context context = nullptr;
  FitContext() {
    const std::string assets = source_path("assets");
    g2s_context_options options;
    g2s_context_options_init(&options);
    options.assets = assets.c_str();
    options.threads = 2;
    options.progress = Watcher::told;
    options.user = &watcher;
    REQUIRE_OK(g2s_context_new(&options, &context));
  }
  ~FitContext() { g2s_context_free(context); }
  FitContext(const FitContext&) = delete;
};

inline const Tensor& head() {
  static const Tensor pixels = read_image(source_path("assets/heads/004_64.png")).rgb;
  return pixels;
}
// An ellipse, as a head's.
inline const Tensor& mask() {
  static const Tensor made = [] {
    Tensor m = Tensor::zeros({1, 64, 64, 1}, DType::f32, Device{});
    for (int y = 0; y < 64; ++y)
      for (int x = 0; x < 64; ++x)
        if ((x - 32) * (x - 32) * 4 + (y - 32) * (y - 32) * 2 < 64 * 32) m.mutable_data<float>()[y * 64 + x] = 1;
    return m;
  }();
  return made;
}
inline g2s_array c_head() { return capi::view_of(head().reshape({64, 64, 3})); }
inline g2s_array c_mask() { return capi::view_of(mask().reshape({64, 64})); }

inline const Tensor& latent() {
  static const Tensor given = hashed_input("reconstruction/latent", {1, 512}, DType::f32, 0.5);
  return given;
}

// The shortest fit: an iteration of each phase but of collecting, which needs two, and no projection.
inline constexpr ReconstructionSettings shortest = {.quality = Quality::draft, .seed = 3, .scale = 0.001};
inline constexpr int iterations = 6;
inline nlohmann::json fit_options() {
  return {{"quality", "draft"}, {"scale", 0.001}, {"seed", 3}, {"latent", latent().to_vector<float>()}};
}

inline g2s_fit new_fit(const FitContext& c, const nlohmann::json& with = fit_options()) {
  const g2s_array picture = c_head(), object = c_mask();
  g2s_fit fit = nullptr;
  REQUIRE_OK(g2s_fit_new(c.context, &picture, &object, with.dump().c_str(), &fit));
  return fit;
}

inline g2s_progress progress(g2s_fit fit) {
  g2s_progress p{};
  p.struct_size = sizeof p;
  REQUIRE_OK(g2s_fit_get_progress(fit, &p));
  return p;
}

}  // namespace g2s::test
