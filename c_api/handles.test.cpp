#include "c_api/handles.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "c_api/objects.h"
#include "tests/support/c_interface.h"

using namespace g2s;
using namespace g2s::capi;
using namespace g2s::test;

namespace {

g2s_text a_text(const char* text) { return give_text(text); }
std::uintptr_t number(const void* handle) { return reinterpret_cast<std::uintptr_t>(handle); }

}  // namespace

TEST_CASE("C interface: a handle that was freed is refused, also when its place is taken again") {
  const g2s_text first = a_text("first");
  CHECK(std::string(g2s_text_get(first)) == "first");
  CHECK_OK(g2s_text_free(first));
  const g2s_text second = a_text("second");
  CHECK((number(first) >> 32) == (number(second) >> 32));
  CHECK(first != second);
  CHECK(std::string(g2s_text_get(first)).empty());
  check_fails(g2s_text_free(first), G2S_INVALID_ARGUMENT, "text: is a handle of a text that was freed");
  CHECK_OK(g2s_text_free(second));
  check_fails(g2s_text_free(second), G2S_INVALID_ARGUMENT, "text: is a handle of a text that was freed");
}

TEST_CASE("C interface: a handle is none of another type, no address, and nothing that was never given") {
  const g2s_text text = a_text("");
  g2s_array view;
  check_fails(g2s_tensor_view(reinterpret_cast<g2s_tensor>(text), &view), G2S_INVALID_ARGUMENT,
              "tensor: is a handle of a text, not of a tensor");
  int local = 0;
  check_fails(g2s_tensor_view(reinterpret_cast<g2s_tensor>(&local), &view), G2S_INVALID_ARGUMENT, "tensor: is no handle of this library");
  check_fails(g2s_text_free(reinterpret_cast<g2s_text>(number(text) + 1)), G2S_INVALID_ARGUMENT, "text: is no handle of this library");
  check_fails(g2s_text_free(reinterpret_cast<g2s_text>(number(text) + (std::uintptr_t{1} << 54))), G2S_INVALID_ARGUMENT,
              "text: is no handle of this library");
  for (std::uintptr_t bits : {~std::uintptr_t{0}, std::uintptr_t{1}, std::uintptr_t{1} << 56, std::uintptr_t{9} << 56 | 1})
    check_fails(g2s_text_free(reinterpret_cast<g2s_text>(bits)), G2S_INVALID_ARGUMENT, "text: is no handle of this library");
  CHECK((number(text) >> 56) == std::uintptr_t{static_cast<std::uint8_t>(Kind::text)});
  CHECK_OK(g2s_text_free(text));
  check_fails(g2s_tensor_view(nullptr, &view), G2S_INVALID_ARGUMENT, "tensor: is null, no tensor");
}

TEST_CASE("C interface: to free nothing is fine") {
  CHECK_OK(g2s_context_free(nullptr));
  CHECK_OK(g2s_tensor_free(nullptr));
  CHECK_OK(g2s_text_free(nullptr));
  CHECK_OK(g2s_generator_free(nullptr));
  CHECK_OK(g2s_lpips_free(nullptr));
  CHECK_OK(g2s_masker_free(nullptr));
  CHECK(std::string(g2s_text_get(nullptr)).empty());
}

TEST_CASE("C interface: what was found lives on when its handle is freed") {
  const g2s_text text = a_text("kept");
  std::shared_ptr<TextObject> kept = capi::find<TextObject>(text, "text");
  const std::weak_ptr<TextObject> watched = kept;
  CHECK_OK(g2s_text_free(text));
  CHECK(kept->text == "kept");
  CHECK_THROWS_AS(capi::find<TextObject>(text, "text"), Error);
  kept = nullptr;
  CHECK(watched.expired());
}

TEST_CASE("C interface: handles are given and freed by many threads") {
  const std::size_t before = live_handles();
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        const std::string want = str(t, " ", i);
        const g2s_text text = give_text(want);
        wrong += want != g2s_text_get(text);
        wrong += g2s_text_free(text) != G2S_OK;
        wrong += g2s_text_free(text) != G2S_INVALID_ARGUMENT;
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(wrong == 0);
  CHECK(live_handles() == before);
}

TEST_CASE("C interface: everything is freed while calls run") {
  const Tensor w = hashed_input("capi/w", {4, tiny_latent});
  const Tensor alone = Tensor::empty({4, tiny_size, tiny_size, 3});
  const g2s_array latents = array_of(w), picture = array_of(alone);
  const TemporaryFolder folder;
  write_tiny_generator(folder / "g.safetensors");
  for (int round = 0; round < 20; ++round) {
    g2s_context context = nullptr;
    g2s_generator generator = nullptr;
    const g2s_context_options options = CContext::usual();
    REQUIRE_OK(g2s_context_new(&options, &context));
    REQUIRE_OK(g2s_generator_load(context, (folder / "g.safetensors").c_str(), &generator));
    if (round == 0) REQUIRE_OK(g2s_generator_picture(generator, &latents, &picture));
    std::atomic<bool> begun{false};
    std::atomic<int> wrong{0};
    std::thread other([&] {
      const Tensor mine = Tensor::empty({4, tiny_size, tiny_size, 3});
      const g2s_array to = array_of(mine);
      for (;;) {
        const g2s_status status = g2s_generator_picture(generator, &latents, &to);
        begun = true;
        if (status != G2S_OK) {
          wrong += std::string(g2s_last_error()) != "generator: is a handle of a generator that was freed";
          return;
        }
        wrong += !same_bits(mine, alone);
      }
    });
    while (!begun) std::this_thread::yield();
    CHECK_OK(g2s_context_free(context));
    CHECK_OK(g2s_generator_free(generator));
    other.join();
    CHECK(wrong == 0);
  }
}

TEST_CASE("C interface: an object outlives the handle of its context") {
  const g2s_context_options options = CContext::usual();
  g2s_context context = nullptr;
  REQUIRE_OK(g2s_context_new(&options, &context));
  const TinyGenerator generator(context);
  CHECK_OK(g2s_context_free(context));
  const Tensor w = hashed_input("capi/w", {1, tiny_latent}), y = Tensor::empty({1, tiny_size, tiny_size, 3});
  const g2s_array latents = array_of(w), picture = array_of(y);
  CHECK_OK(g2s_generator_picture(generator, &latents, &picture));
  g2s_generator second = nullptr;
  check_fails(g2s_generator_load(context, nullptr, &second), G2S_INVALID_ARGUMENT, "context: is a handle of a context that was freed");
}
