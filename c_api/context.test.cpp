#include "c_api/context.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "c_api/call.h"
#include "engine/accelerator.h"
#include "engine/progress.h"
#include "kernels/machine.h"
#include "tests/support/c_interface.h"
#include "tests/support/left_behind.h"

using namespace g2s;
using namespace g2s::capi;
using namespace g2s::test;

namespace {

nlohmann::json describe(g2s_context context) {
  g2s_text text = nullptr;
  REQUIRE_OK(g2s_context_describe(context, &text));
  const nlohmann::json out = nlohmann::json::parse(g2s_text_get(text));
  CHECK_OK(g2s_text_free(text));
  return out;
}

void refused(const g2s_context_options& options, g2s_status status, const std::string& sentence) {
  g2s_context context = reinterpret_cast<g2s_context>(1);
  check_fails(g2s_context_new(&options, &context), status, sentence);
  CHECK(context == nullptr);
}

Context& engine_context(g2s_context handle) { return capi::find<ContextObject>(handle, "context")->context(); }

g2s_status picture(g2s_generator generator) {
  const Tensor w = Tensor::zeros({1, tiny_latent}), y = Tensor::empty({1, tiny_size, tiny_size, 3});
  const g2s_array in = array_of(w), out = array_of(y);
  return g2s_generator_picture(generator, &in, &out);
}

struct Heard {
  std::vector<std::string> log, stages;
  int answer = 0;
  double last_loss = 0;
  g2s_generator generator = nullptr;  // to be called from the callback

  void set(g2s_context_options& options) {
    options.user = this;
    options.log = [](void* user, const char* sentence) { static_cast<Heard*>(user)->log.push_back(sentence); };
    options.progress = [](void* user, const g2s_progress* progress) {
      auto& heard = *static_cast<Heard*>(user);
      CHECK(progress->struct_size == sizeof *progress);
      heard.stages.push_back(str(progress->stage, " ", progress->step, "/", progress->steps, progress->has_loss ? " with a loss" : ""));
      heard.last_loss = progress->loss;
      if (heard.generator) CHECK_OK(picture(heard.generator));
      return heard.answer;
    };
  }
};

}  // namespace

TEST_CASE("C interface: versions and names of statuses") {
  CHECK(std::string(g2s_version()) == str(G2S_VERSION_MAJOR, ".", G2S_VERSION_MINOR, ".", G2S_VERSION_PATCH));
  for (int i = 0; i <= 9; ++i) CHECK(std::string(g2s_status_name(static_cast<g2s_status>(i))) != "unknown status");
  CHECK(std::string(g2s_status_name(G2S_OUT_OF_MEMORY)) == "out of memory");
  CHECK(std::string(g2s_status_name(static_cast<g2s_status>(15))) == "unknown status");
}

TEST_CASE("C interface: every exception becomes a status and a sentence") {
  const auto status = [](auto&& thrown) { return call([&] { throw thrown; }); };
  CHECK(status(Error(Errc::invalid_argument, "a", "b")) == G2S_INVALID_ARGUMENT);
  CHECK(std::string(g2s_last_error()) == "a: b");
  CHECK(status(Error(Errc::shape_mismatch, "a", "b")) == G2S_SHAPE_MISMATCH);
  CHECK(status(Error(Errc::io, "a", "b")) == G2S_IO);
  CHECK(status(Error(Errc::format, "a", "b")) == G2S_FORMAT);
  CHECK(status(Error(Errc::unsupported, "a", "b")) == G2S_UNSUPPORTED);
  CHECK(status(Error(Errc::out_of_memory, "a", "b")) == G2S_OUT_OF_MEMORY);
  CHECK(status(Error(Errc::cancelled, "a", "b")) == G2S_CANCELLED);
  CHECK(status(Error(Errc::internal, "a", "b")) == G2S_INTERNAL);
  CHECK(status(std::bad_alloc()) == G2S_OUT_OF_MEMORY);
  CHECK(std::string(g2s_last_error()) == "memory: there is not enough");
  CHECK(status(Busy("c")) == G2S_BUSY);
  CHECK(status(std::runtime_error("d")) == G2S_INTERNAL);
  CHECK(std::string(g2s_last_error()) == "d");
  CHECK(status(7) == G2S_INTERNAL);
  CHECK(call([] {}) == G2S_OK);
  CHECK(std::string(g2s_last_error()) == "an exception of an unknown kind");  // of the last call that failed
}

TEST_CASE("C interface: the last error belongs to its thread, and is cut between characters") {
  CHECK(g2s_picture_read(nullptr, nullptr) == G2S_INVALID_ARGUMENT);
  std::thread([] {
    CHECK(std::string(g2s_last_error()).empty());
    CHECK(g2s_context_free(reinterpret_cast<g2s_context>(8)) == G2S_INVALID_ARGUMENT);
    CHECK(std::string(g2s_last_error()) == "context: is no handle of this library");
  }).join();
  CHECK(std::string(g2s_last_error()) == "picture: is null");
  std::string umlauts = "x";
  for (int i = 0; i < 5000; ++i) umlauts += "\xc3\xa4";
  call([&] { throw std::runtime_error(umlauts); });
  const std::string kept = g2s_last_error();
  CHECK(kept.size() == 4095);
  CHECK(kept == umlauts.substr(0, 4095));
  call([&] { throw std::runtime_error("y" + umlauts); });
  CHECK(std::string(g2s_last_error()).size() == 4094);
  CHECK(std::string(keep_text("stage")) == "stage");
}

TEST_CASE("C interface: a context says what it is") {
  g2s_context_options options = CContext::usual();
  const std::string assets = source_path("assets");
  options.threads = 3;
  options.precision = other_precision();
  options.assets = assets.c_str();
  options.memory_limit = std::uint64_t{1} << 40;
  const CContext context(options);
  const nlohmann::json about = describe(context);
  CHECK(about.at("version") == g2s_version());
  CHECK(about.at("device") == str(test_device()));
  CHECK(about.at("threads") == 3);
  CHECK(about.at("precision") == options.precision);
  CHECK(about.at("instruction_set") == instruction_set());
  CHECK(about.at("assets") == assets);
  CHECK(about.at("memory_limit") == options.memory_limit);
  CHECK(about.at("cancelled") == false);
  g2s_context plain = nullptr;
  REQUIRE_OK(g2s_context_new(nullptr, &plain));
  CHECK(describe(plain).at("device") == "cpu");
  CHECK(describe(plain).at("precision") == "f32");
  CHECK_OK(g2s_context_free(plain));
}

TEST_CASE("C interface: default weights come from the folder of the assets") {
  g2s_context_options options = CContext::usual();
  const std::string assets = source_path("assets");
  options.assets = assets.c_str();
  const CContext context(options);
  g2s_generator generator = nullptr;
  REQUIRE_OK(g2s_generator_load(context, nullptr, &generator));
  g2s_generator_info info{sizeof info, 0, 0, 0};
  CHECK_OK(g2s_generator_get_info(generator, &info));
  CHECK(info.size == 64);
  CHECK_OK(g2s_generator_free(generator));
  const TemporaryFolder empty;
  options.assets = empty.path().c_str();
  const CContext without(options);
  check_fails(g2s_lpips_load(without, nullptr, reinterpret_cast<g2s_lpips*>(&generator)), G2S_IO,
              empty / "lpips_vgg.safetensors" + ": is missing from the assets");
  const std::string absent = empty / "absent";
  options.assets = absent.c_str();
  refused(options, G2S_IO, absent + ": is not a folder (`assets`)");
  ::setenv("GAN2SHAPE_ASSETS", assets.c_str(), 1);
  const CContext from_environment;
  CHECK(describe(from_environment).at("assets") == assets);
  ::unsetenv("GAN2SHAPE_ASSETS");
}

TEST_CASE("C interface: wrong options are refused, by name") {
  g2s_context_options options = CContext::usual();
  options.threads = -1;
  refused(options, G2S_INVALID_ARGUMENT, "threads: -1 is not between 0 and 1024");
  options = CContext::usual();
  options.precision = "f17";
  g2s_context none = nullptr;
  CHECK(g2s_context_new(&options, &none) == G2S_INVALID_ARGUMENT);
  CHECK(std::string(g2s_last_error()).rfind("precision: ", 0) == 0);
  options = CContext::usual();
  options.device = "tpu";
  CHECK(g2s_context_new(&options, &none) == G2S_INVALID_ARGUMENT);
  CHECK(std::string(g2s_last_error()).rfind("device: ", 0) == 0);
  options = CContext::usual();
  options.device = "cpu";
  options.stream = &options;
  refused(options, G2S_INVALID_ARGUMENT, "stream: is one of a CUDA device, but the context works on the CPU");
  options.device = "cuda:77";
  options.stream = nullptr;
  CHECK(g2s_context_new(&options, &none) == G2S_UNSUPPORTED);
  check_fails(g2s_context_new(&options, nullptr), G2S_INVALID_ARGUMENT, "context: is null");
  options = CContext::usual();
  for (std::uint32_t size : {0u, 8u, 5000u, 0xffffffffu}) {
    options.struct_size = size;
    refused(options, G2S_INVALID_ARGUMENT, str("options: struct_size is ", size, "; g2s_context_options_init() sets it"));
  }
  g2s_context_options_init(nullptr);
}

TEST_CASE("C interface: options of a newer header are taken as long as they say nothing") {
  struct Newer {
    g2s_context_options options;
    std::uint64_t more = 0;
  } newer{CContext::usual()};
  newer.options.struct_size = sizeof newer;
  g2s_context context = nullptr;
  REQUIRE_OK(g2s_context_new(&newer.options, &context));
  CHECK(describe(context).at("threads") == 2);
  CHECK_OK(g2s_context_free(context));
  newer.more = 1;
  refused(newer.options, G2S_UNSUPPORTED, "options: has fields that this library, version 0.1.0, does not know");
}

TEST_CASE("C interface: a cancelled context refuses what comes until it is resumed, and no other does") {
  const CContext context, other;
  const TinyGenerator generator(context), beside(other);
  CHECK_OK(g2s_context_cancel(context));
  check_fails(picture(generator), G2S_CANCELLED, "generator: was interrupted");
  CHECK(describe(context).at("cancelled") == true);
  g2s_generator more = nullptr;
  CHECK(g2s_generator_load(context, generator.path().c_str(), &more) == G2S_CANCELLED);
  CHECK_OK(picture(beside));
  CHECK_OK(g2s_context_resume(context));
  CHECK_OK(picture(generator));
}

TEST_CASE("C interface: a call is cancelled from another thread") {
  const CContext context;
  const TinyGenerator generator(context);
  const Tensor w = Tensor::empty({tiny_latent});
  const g2s_array out = array_of(w);
  std::thread other([&] { CHECK_OK(g2s_context_cancel(context)); });
  // Hours of work, so that it can only end by being cancelled.
  CHECK(g2s_generator_mean_latent(generator, 0, std::int64_t{1} << 50, &out) == G2S_CANCELLED);
  other.join();
}

TEST_CASE("C interface: callbacks hear of everything, may call the library, and may stop the call") {
  Heard heard;
  g2s_context_options options = CContext::usual();
  heard.set(options);
  const CContext context(options);
  const TinyGenerator generator(context);
  Context& engine = engine_context(context);
  engine.log("a sentence");
  engine.report({.stage = "step 1", .step = 2, .steps = 3, .loss = 0.5, .has_loss = true});
  CHECK(heard.log == std::vector<std::string>{"a sentence"});
  CHECK(heard.stages == std::vector<std::string>{"step 1 2/3 with a loss"});
  CHECK(heard.last_loss == 0.5);
  heard.generator = generator;
  const auto work = [&] {
    return call([&] {
      const InContext in(capi::find<ContextObject>(context, "context"), "work");
      const WithPrecision bf16(Precision::bf16);
      engine.report({.stage = "step 2"});
      CHECK(precision() == Precision::bf16);
      CHECK(&Context::current() == &engine);
    });
  };
  CHECK(work() == G2S_OK);
  heard.answer = 1;
  check_fails(work(), G2S_CANCELLED, "progress: the callback asked to stop");
  heard.answer = 0;
  CHECK(work() == G2S_OK);  // only that call
  CHECK(heard.stages.size() == 4);
}

TEST_CASE("C interface: callbacks are never called at once") {
  struct Together {
    std::atomic<int> inside{0}, most{0};
  } together;
  g2s_context_options options = CContext::usual();
  options.user = &together;
  options.progress = [](void* user, const g2s_progress*) {
    auto& t = *static_cast<Together*>(user);
    const int now = ++t.inside;
    if (now > t.most) t.most = now;
    std::this_thread::yield();
    --t.inside;
    return 0;
  };
  options.log = [](void* user, const char*) { static_cast<Together*>(user)->most += static_cast<Together*>(user)->inside > 0 ? 100 : 0; };
  const CContext context(options);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        engine_context(context).report({.stage = "s"});
        engine_context(context).log("l");
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(together.most == 1);
}

TEST_CASE("C interface: what objects share in a context is made once, and goes when nobody has it") {
  const CContext handle;
  ContextObject& context = *capi::find<ContextObject>(handle, "context");
  int made = 0;
  const auto get = [&](const char* name) { return context.shared<int>(name, [&] { return std::make_shared<int>(++made); }); };
  const auto one = get("one");
  CHECK(get("one") == one);
  CHECK(made == 1);
  CHECK(*get("two") == 2);
  CHECK(*get("two") == 2);  // the last one is kept
  CHECK(get("one") == one);
  CHECK(*get("two") == 3);
  CHECK_THROWS_AS(context.shared<int>("three", []() -> std::shared_ptr<int> { fail(Errc::io, "three", "is not there"); }), Error);
  CHECK(get("one") == one);
}

TEST_CASE("C interface: a thousand contexts leave nothing behind") {
  const TemporaryFolder folder;
  const std::string path = folder / "tiny.safetensors";
  write_tiny_generator(path);
  const auto one = [&] {
    const CContext context;
    g2s_generator generator = nullptr;
    REQUIRE_OK(g2s_generator_load(context, path.c_str(), &generator));
    REQUIRE_OK(picture(generator));
    CHECK_OK(g2s_generator_free(generator));
  };
  for (int i = 0; i < 20; ++i) one();
  const std::size_t handles = live_handles();
  const Left before;
  const bool emulated = test_device().type != DeviceType::cpu;  // slow, above all where races are watched
  for (int i = 0; i < (emulated ? 50 : 1000); ++i) one();
  check_nothing_more(before);
  CHECK(live_handles() == handles);
}

TEST_CASE("C interface: calls that overlap on the caller's stream are refused" * doctest::skip(no_test_device())) {
  int stream = 0;  // never used: nothing is asked of the device
  g2s_context_options options = CContext::usual();
  options.stream = &stream;
  const CContext context(options);
  const auto object = capi::find<ContextObject>(context, "context");
  CHECK(describe(context).at("own_stream") == false);
  bool refused = false;
  const g2s_status status = call([&] {
    const InContext in(object, "work");
    refused = call([&] { const InContext again(object, "work"); }) == G2S_BUSY;
    std::thread([&] { CHECK(call([&] { const InContext again(object, "work"); }) == G2S_BUSY); }).join();
  });
  CHECK(status == G2S_OK);
  CHECK(refused);
  CHECK(call([&] { const InContext in(object, "work"); }) == G2S_OK);
}
