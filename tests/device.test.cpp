// The method on a device: where G2S_TEST_DEVICE names one, the emulated CUDA device in every run of the tests.
#include <doctest/doctest.h>

#include <array>
#include <optional>
#include <set>
#include <thread>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "engine/accelerator.h"
#include "engine/allocator.h"
#include "engine/autograd.h"
#include "engine/context.h"
#include "engine/cuda/launches.h"
#include "engine/captured_graph.h"
#include "kernels/adam/adam.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce.h"
#include "kernels/shape/shape.h"
#include "models/gan2shape/fit.h"
#include "models/gan2shape/prior.h"
#include "models/gan2shape/steps.h"
#include "tests/cli/program.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/cuda_paths.h"
#include "tests/support/small_world.h"
#include "tests/support/traces.h"

using namespace g2s;
using namespace g2s::test;
using nlohmann::json;

namespace {

// Every kernel that a trace launches, and how often, against the committed list: a kernel that is missing there has been replaced by something
// else without anybody noticing. G2S_WRITE_LAUNCHES=1 rewrites the list.
void check_launches(const std::string& name) {
  const std::string path = source_path("tests/golden/launches.json");
  json all;
  if (std::ifstream in(path); in) all = json::parse(in);
  const json now = cuda::launches();
  if (std::getenv("G2S_WRITE_LAUNCHES")) {
    all[name] = now;
    std::ofstream(path) << all.dump(1) << '\n';
  }
  REQUIRE(all.contains(name));
  for (const auto& [kernel, count] : all[name].items()) {
    INFO(kernel);
    CHECK(now.value(kernel, 0) == count.get<int>());
  }
  for (const auto& [kernel, count] : now.items()) CHECK_MESSAGE(all[name].contains(kernel), kernel, " is not in ", path);
}

void check_trace(const std::string& name) {
  const OurKernels ours;
  cuda::forget_launches();
  check_trace_items(trace_items(source_path("tests/golden/" + name), DType::f64, test_device()));
  check_launches(name);
}

}  // namespace

TEST_CASE("the golden trace of the ellipsoids on the device" * doctest::skip(no_test_device())) { check_trace("ellipsoid64"); }

TEST_CASE("the golden trace of the steps at 64 pixels on the device" * doctest::skip(no_test_device())) { check_trace("synface64"); }

namespace {

// A world of images of 64 pixels, few at a time: the perceptual loss is what takes time in the emulator.
Config light_config() {
  Config c = small_config();
  c.batch = 2;
  c.step3_batch = 1;
  c.use_mask = true;
  return c;
}

// The optimiser's step included, an iteration that is repeated gives the bits of one that is not. From the third on it is one launch of a graph,
// the host waits for nothing, and no memory comes from the driver.
// `iterate` takes the gradients of the parameters and gives the losses; `prepare` fills what it reads, differently for each iteration.
void check_repeated(const char* step, const std::vector<Tensor>& parameters,
                    const std::function<std::pair<Tensor, std::vector<Tensor>>(const std::vector<Tensor>&)>& iterate,
                    const std::function<void(int)>& prepare = [](int) {}) {
  INFO(step);
  constexpr int iterations = 4;
  const Config config = light_config();
  Allocator& memory = allocator(test_device());
  std::vector<Tensor> start;
  for (const Tensor& p : parameters) start.push_back(p.clone());
  std::vector<std::pair<Tensor, std::vector<Tensor>>> want;
  auto on_host = [](const Tensor& t) { return t.detach().to(Device{}); };
  for (const bool repeated : {false, true}) {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      Tensor p = parameters[i];
      copy_into(p, start[i]);
    }
    Adam adam(parameters, adam_options(config));
    Tensor loss;
    auto work = [&] {
      auto [total, gradients] = iterate(adam.parameters());
      loss = total;
      adam.step(gradients);
    };
    CapturedGraph graph(test_device(), step, work);
    for (int i = 0; i < iterations; ++i) {
      INFO("iteration ", i);
      adam.set_lr(config.lr * (i + 1));
      const std::int64_t waits = host_syncs(), graphs = graph_launches();
      const std::size_t reserved = memory.stats().reserved;
      prepare(i);
      repeated ? graph.run() : work();
      if (i > 0) CHECK(host_syncs() == waits);
      if (i > 1) CHECK(memory.stats().reserved == reserved);
      CHECK(graph_launches() - graphs == (repeated && i > 0 ? 1 : 0));
      std::vector<Tensor> now;
      for (const Tensor& p : parameters) now.push_back(on_host(p));
      if (!repeated) {
        want.emplace_back(on_host(loss), now);
        continue;
      }
      CHECK(same_bits(on_host(loss), want[static_cast<std::size_t>(i)].first));
      for (std::size_t k = 0; k < now.size(); ++k) CHECK(same_bits(now[k], want[static_cast<std::size_t>(i)].second[k]));
    }
  }
}

}  // namespace

TEST_CASE("an iteration of projection, prior and step 1 waits for nothing, on the device" * doctest::skip(no_test_device())) {
  const DefaultDevice guard(test_device());
  World w(light_config(), small_widths);
  auto of = [](const std::function<Tensor()>& loss) {
    return [loss](const std::vector<Tensor>& parameters) {
      const Tensor total = loss();
      return std::pair(total, grad({total}, parameters));
    };
  };
  Tensor latent = w.target.latent.clone().set_requires_grad();
  check_repeated("projection", {latent}, of([&] {
    const Tensor y = at_input_size(w.method, w.target, generate(w.method, w.target, latent));
    return mean(w.lpips.distance(w.lpips.features(y), w.lpips.features(w.target.image)));
  }));
  const Tensor ellipsoid = ellipsoid_depth(w.target.mask, w.config);
  check_repeated("prior", w.networks.netD.parameters().tensors(),
                 of([&] { return prior_loss(w.method.renderer, w.networks.netD, w.target.image, ellipsoid); }));
  Step1 step1(w.method, w.target, false, Tensor());
  check_repeated("step 1", step1.parameters(), [&](const std::vector<Tensor>&) {
    Step1::Updated u = step1.update();
    return std::pair(u.losses.total, u.gradients);
  });
}

TEST_CASE("an iteration of steps 2 and 3 waits for nothing, on the device" * doctest::skip(no_test_device())) {
  const DefaultDevice guard(test_device());
  World w(light_config(), small_widths);
  Step2 step2(w.method, w.target, w.snapshot());
  const Tensor views = w.views(), lights = w.lights();
  Tensor these_views = views.clone(), these_lights = lights.clone();
  auto prepare = [&](int i) {
    copy_into(these_views, views * (1 + 0.1 * i));
    copy_into(these_lights, Random(static_cast<std::uint64_t>(i), "lights").uniform(lights.shape()));
  };
  for (std::int64_t part : {1, 2}) {
    check_repeated(part == 1 ? "step 2 in parts" : "step 2", step2.parameters(), [&](const std::vector<Tensor>&) {
      Update u = step2.update(these_views, these_lights, part);
      return std::pair(u.losses.total, u.gradients);
    }, prepare);
  }
  Step3 step3(w.method, w.target, false);
  const Tensor image = slice(w.images(), 0, 0, 1), mask = slice(w.masks(), 0, 0, 1);
  Tensor this_image = image.clone();
  check_repeated("step 3 in parts", step3.parameters(), [&](const std::vector<Tensor>&) {
    Step3::PartedUpdate u = step3.update({this_image, mask, {}}, 1);
    return std::pair(u.batch.total, u.gradients);
  }, [&](int i) { copy_into(this_image, image * (1 - 0.1 * i)); });
}

// With G2S_SIMT_LATE=1 they are there no earlier than the host waits.
TEST_CASE("losses are read when they are there, on the device" * doctest::skip(no_test_device())) {
  const DefaultDevice guard(test_device());
  Tensor step = Tensor::zeros({}), total;
  LossLog log(test_device());
  CapturedGraph graph(test_device(), "test", [&] {
    total = step * 2;
    log.set({{"none", Tensor()}, {"step", step}, {"total", total}});
  });
  for (int round = 0; round < 2; ++round) {
    const auto waits = host_syncs();
    for (int i = 0; i < log.capacity(); ++i) {
      copy_into(step, Tensor::scalar(i + round, DType::f32, Device{}));
      graph.run();
      CHECK(!log.full());
      log.record(i);
    }
    CHECK(log.full());
    CHECK(host_syncs() == waits);
    CHECK_THROWS_WITH_AS(log.record(99), doctest::Contains("losses: iteration 99"), Error);
    const auto losses = log.drain();
    CHECK(host_syncs() == waits + 1);
    REQUIRE(losses.size() == 16);
    for (int i = 0; i < 16; ++i) {
      CHECK(losses[static_cast<std::size_t>(i)].first == i);
      CHECK(losses[static_cast<std::size_t>(i)].second == NamedLosses{{"step", i + round}, {"total", 2 * (i + round)}});
    }
  }
  CHECK(log.drain().empty());
}

namespace {
// Its image, all of which is the object.
FitInput input_of(const World& w) {
  FitInput input;
  input.image = w.target.image;
  input.mask = Tensor::full({1, w.config.size, w.config.size, 1}, 1);
  return input;
}
}  // namespace

namespace {

// `many` iterations of the prior and of each step. It is stopped after each of `stops`: in step 1, step 2 and step 3, after one iteration.
void check_interrupted(int many, const std::array<int, 3>& stops) {
  const DefaultDevice guard(test_device());
  Config c = light_config();
  c.stages = 1;
  c.first_stage = {many, many, many};
  c.prior_iterations = many;
  c.collect = 2;
  c.projection.w_iterations = c.projection.w_plus_iterations = 2;
  c.projection.mean_samples = 16;
  World w(c, small_widths);
  FitInput input = input_of(w);
  const TemporaryFolder folder;
  FitOptions options;
  options.seed = 7;
  auto fit = [&](const char* state) {
    options.state_path = folder / state;
    return std::make_unique<Fit>(c, w.generator, &w.discriminator, w.lpips, input, options);
  };
  const std::int64_t graphs = graph_launches();
  const FitResult whole = fit("whole")->run();
  // Of each phase all but the first iteration; the projection has two halves; collecting is not repeated.
  CHECK(graph_launches() - graphs == 1 + 1 + 4 * (many - 1));

  int left = 0;
  options.progress = [&](const FitProgress&) {
    if (--left == 0) Context::current().cancel();
  };
  for (int iterations : stops) {
    left = iterations;
    Context context({.device = test_device()});
    const UseContext in(context);
    auto part = fit("parts");
    if (iterations != stops[0]) part->resume(options.state_path);
    CHECK_THROWS_WITH_AS(part->run(), doctest::Contains("fit: stopped in step"), Error);
  }
  left = -1;
  auto last = fit("parts");
  last->resume(options.state_path);
  const FitResult parts = last->run();
  CHECK(last->phase() == Phase::done);

  const SafetensorsFile want(folder / "whole"), got(options.state_path);
  REQUIRE(want.entries().size() == got.entries().size());
  for (const auto& entry : want.entries()) {
    INFO(entry.name);
    CHECK(same_bits(got.get(entry.name), want.get(entry.name)));
  }
  REQUIRE(parts.history.size() == whole.history.size());
  for (std::size_t i = 0; i < whole.history.size(); ++i) {
    CHECK(parts.history[i].first == whole.history[i].first);
    CHECK(parts.history[i].last == whole.history[i].last);
    CHECK(whole.history[i].last.empty() == (whole.history[i].phase == Phase::collect));
  }
  CHECK(whole.target.gan_image.device() == Device{});
  CHECK(same_bits(parts.recon, whole.recon));
}

}  // namespace

TEST_CASE("a fit is interrupted and goes on, on the device: the same bytes" * doctest::skip(no_test_device())) { check_interrupted(2, {7, 2, 4}); }

// What goes on is captured again.
TEST_CASE("a fit is interrupted and goes on, on the device: [long] the same bytes" * doctest::skip(no_test_device())) {
  check_interrupted(3, {8, 3, 5});
}

// Each thread has a stream of its own in the context; what is captured belongs to one.
TEST_CASE("a fit's steps come from several threads, on the device: the same bytes" * doctest::skip(no_test_device())) {
  Context context({.device = test_device()});
  std::optional<UseContext> here(context);
  Config c = light_config();
  c.stages = 1;
  c.first_stage = {1, 1, 3};
  c.prior_iterations = 4;
  c.collect = 2;
  World w(c, small_widths);
  FitInput input = input_of(w);
  input.latent = w.target.latent;
  const FitResult whole = Fit(c, w.generator, &w.discriminator, w.lpips, input, {}).run();
  Fit fit(c, w.generator, &w.discriminator, w.lpips, input, {});
  std::set<const ThreadResources*> seen;
  for (int i = 0; fit.phase() != Phase::done; ++i) {
    if (i % 2) here.emplace(context);  // takes what the last thread had
    else here.reset();
    std::thread([&] {
      const UseContext in(context);
      seen.insert(&thread_resources());
      fit.step(2);
    }).join();
  }
  here.emplace(context);
  CHECK(seen.size() == 2);
  const FitResult parts = fit.result();
  CHECK(same_bits(parts.recon, whole.recon));
  REQUIRE(parts.history.size() == whole.history.size());
  for (std::size_t i = 0; i < whole.history.size(); ++i) CHECK(parts.history[i].last == whole.history[i].last);
}

// Found when the losses are looked at, after the last iteration; the message is that of the CPU, which looks after each.
TEST_CASE("a fit names the iteration whose loss is not finite, on the device" * doctest::skip(no_test_device())) {
  auto message = [](Device device) -> std::string {
    const DefaultDevice guard(device);
    Config c = light_config();
    c.lr = 1e30;
    c.stages = 1;
    c.first_stage = {1, 1, 1};
    c.collect = 2;
    c.prior_iterations = 5;
    World w(c, small_widths);
    FitInput input = input_of(w);
    input.latent = w.target.latent;
    int seen = 0;
    FitOptions options;
    options.progress = [&](const FitProgress& p) { seen = p.iteration; };
    try {
      Fit(c, w.generator, &w.discriminator, w.lpips, input, options).run();
    } catch (const Error& e) {
      CHECK(seen == (device.type == DeviceType::cpu ? 1 : 4));
      return e.what();
    }
    return "";
  };
  const std::string host = message(Device{});
  CHECK(host == "fit: the loss is not finite in prior of stage 1, iteration 2: is the object inside the picture?");
  CHECK(message(test_device()) == host);
}
