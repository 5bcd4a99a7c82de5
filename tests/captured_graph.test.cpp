// Work that is repeated on a device as a graph: where G2S_TEST_DEVICE names one, the emulated CUDA device in every run of the tests.
#include "engine/captured_graph.h"

#include <doctest/doctest.h>

#include <future>
#include <thread>

#include "engine/accelerator.h"
#include "engine/allocator.h"
#include "engine/autograd.h"
#include "engine/constant.h"
#include "kernels/adam/adam.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/random/random.h"
#include "kernels/reduce/reduce.h"
#include "kernels/resize/resize.h"
#include "kernels/shape/shape.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

std::size_t reserved() { return allocator(test_device()).stats().reserved; }

// An image that is taught to look like another one when it is resized.
struct Lesson {
  Tensor image = hashed_input("replay/picture", {1, 12, 12, 3}).to(test_device()).set_requires_grad();
  Tensor wanted = hashed_input("replay/wanted", {1, 7, 7, 3}).to(test_device());
  Adam adam{{image}, {.lr = 0.01}};
  Tensor loss;

  void iterate() {
    loss = mean(square(resize(image, 7, 7) * constant({1, 2, 3}, {1, 1, 1, 3}, DType::f32) - wanted));
    adam.step(grad({loss}, adam.parameters()));
  }
};

struct Counts {
  std::int64_t waits = host_syncs(), graphs = graph_launches();
  std::size_t memory = reserved();
};

}  // namespace

TEST_CASE("captured graph: the same bits as direct runs, one graph and no wait each" * doctest::skip(no_test_device())) {
  const DefaultDevice guard(test_device());
  Lesson direct, repeated;
  CapturedGraph graph(test_device(), "test", [&] { repeated.iterate(); });
  for (int i = 0; i < 6; ++i) {
    CAPTURE(i);
    for (Lesson* lesson : {&direct, &repeated}) lesson->adam.set_lr(0.01 / (i + 1));
    direct.iterate();
    const Counts before;
    graph.run();
    CHECK(graph_launches() - before.graphs == (i == 0 ? 0 : 1));
    CHECK(host_syncs() == before.waits);
    if (i > 1) CHECK(reserved() == before.memory);
    CHECK(repeated.adam.steps() == i + 1);
    CHECK(same_bits(repeated.loss.detach().to(Device{}), direct.loss.detach().to(Device{})));
    CHECK(same_bits(repeated.image.detach().to(Device{}), direct.image.detach().to(Device{})));
  }
}

TEST_CASE("captured graph: random numbers go on from launch to launch" * doctest::skip(no_test_device())) {
  const DefaultDevice guard(test_device());
  Random direct(5, "replay"), repeated(5, "replay");
  Tensor first, second;
  CapturedGraph graph(test_device(), "test", [&] {
    first = repeated.uniform({3, 5}) + 1;
    second = repeated.normal({7});
  });
  for (int i = 0; i < 4; ++i) {
    graph.run();
    CHECK(same_bits(first.to(Device{}), (direct.uniform({3, 5}) + 1).to(Device{})));
    CHECK(same_bits(second.to(Device{}), direct.normal({7}).to(Device{})));
    CHECK(repeated.position() == direct.position());
  }
}

TEST_CASE("captured graph: nobody else gets the graph's memory" * doctest::skip(no_test_device())) {
  const DefaultDevice guard(test_device());
  const Tensor x = hashed_input("replay/x", {1000}).to(test_device());
  Tensor old = (x + 1).detach(), y;
  const Tensor want = ((x + 2) * (x - 3) + (x + 1)).to(Device{});
  CapturedGraph graph(test_device(), "test", [&] {
    y = (x + 2) * (x - 3) + old;
    old = {};  // goes back to everybody while the work is written down, which reads it
    if (!CapturedGraph::capturing()) old = (x + 1).detach();
  });
  graph.run();
  CHECK(same_bits(y.to(Device{}), want));
  y = {};
  old = x + 1;
  graph.run();
  const auto used = allocator(test_device()).stats().in_use;
  std::vector<Tensor> others;
  for (int i = 0; i < 40; ++i) others.push_back(Tensor::full({1000}, i));
  graph.run();
  CHECK(same_bits(y.to(Device{}), want));
  for (int i = 0; i < 40; ++i) CHECK(same_bits(others[static_cast<std::size_t>(i)].to(Device{}), Tensor::full({1000}, i, DType::f32, Device{})));
  others.clear();
  CHECK(allocator(test_device()).stats().in_use == used);
}

TEST_CASE("captured graph: within the work memory serves again" * doctest::skip(no_test_device())) {
  const DefaultDevice guard(test_device());
  constexpr std::size_t bytes = 1 << 20;
  const Tensor x = Tensor::full({bytes / 4}, 1);
  Tensor y;
  CapturedGraph graph(test_device(), "test", [&] {
    y = x;
    for (int i = 0; i < 50; ++i) y = y + 1;
  });
  graph.run();
  y = {};
  const auto used = allocator(test_device()).stats().in_use;
  graph.run();
  CHECK(allocator(test_device()).stats().in_use == used + bytes);
  CHECK(y.to_vector<float>().back() == 51);
}

TEST_CASE("captured graph: memory goes from one to the next, results stay" * doctest::skip(no_test_device())) {
  const DefaultDevice guard(test_device());
  const Tensor x = hashed_input("replay/x", {1000}).to(test_device());
  const auto used = allocator(test_device()).stats().in_use;
  std::vector<Tensor> kept;
  std::size_t memory = 0;
  for (int k = 0; k < 3; ++k) {
    Tensor y;
    {
      Tensor gone = x + 1;
      CapturedGraph graph(test_device(), "test", [&] {
        y = x + k;
        gone = {};
      });
      for (int i = 0; i < 3; ++i) graph.run();
    }
    kept.push_back(y);
    y = {};
    for (int i = 0; i < 20; ++i) Tensor::full({1000}, 7);
    for (int i = 0; i <= k; ++i) CHECK(same_bits(kept[static_cast<std::size_t>(i)].to(Device{}), (x + i).to(Device{})));
    kept.back() = kept.back().to(Device{});
    CHECK(allocator(test_device()).stats().in_use == used);
    if (k > 0) CHECK(reserved() == memory);
    memory = reserved();
  }
}

TEST_CASE("captured graph: what cannot be repeated is refused, and the device works on" * doctest::skip(no_test_device())) {
  const DefaultDevice guard(test_device());
  const Tensor x = hashed_input("replay/x", {10}).to(test_device());
  Tensor y;
  auto twice = [](const std::function<void()>& work) {
    CapturedGraph graph(test_device(), "test", work);
    graph.run();
    graph.run();
  };
  CHECK_THROWS_WITH_AS(twice([&] { y = x + Tensor::from(std::vector<float>(10, 1)); }),
                       doctest::Contains("captured graph: work that is to be repeated copies from the host (after the kernel '"), Error);
  CHECK_THROWS_WITH_AS(twice([&] { sum(x).item(); }), doctest::Contains("copies to the host"), Error);
  CHECK_THROWS_WITH_AS(twice([&] { accelerator(test_device(), "test").synchronize(); }), doctest::Contains("waits for the device"), Error);
  CHECK_THROWS_WITH_AS(twice([&] { twice([] {}); }), "captured graph: the work of a CapturedGraph runs another one", Error);
  CHECK_THROWS_WITH_AS(twice([&] { concat({x, y.reshape({1, 10})}, 0); }), doctest::Contains("concat: "), Error);

  // After an error the same CapturedGraph may try again.
  bool bad = true;
  CapturedGraph graph(test_device(), "test", [&] {
    y = x + 1;
    if (CapturedGraph::capturing() && bad) fail(Errc::internal, "planted", "an error");
  });
  graph.run();
  CHECK_THROWS_WITH_AS(graph.run(), "planted: an error", Error);
  CHECK(!CapturedGraph::capturing());
  bad = false;
  const auto graphs = graph_launches();
  for (int i = 0; i < 2; ++i) graph.run();
  CHECK(graph_launches() == graphs + 2);
  CHECK(same_bits(y.to(Device{}), (x + 1).to(Device{})));
}

TEST_CASE("captured graph: several threads work on one device, each with its stream and memory" * doctest::skip(no_test_device())) {
  const DefaultDevice guard(test_device());
  Lesson direct;
  for (int i = 0; i < 8; ++i) direct.iterate();
  const Tensor want = direct.image.detach().to(Device{});
  for (int round = 0; round < 3; ++round) {
    std::vector<Tensor> got(3), left(3);
    std::vector<std::thread> threads;
    for (std::size_t k = 0; k < got.size(); ++k) {
      threads.emplace_back([&, k] {
        const DefaultDevice there(test_device());
        Lesson lesson;
        CapturedGraph graph(test_device(), "thread", [&] { lesson.iterate(); });
        for (int i = 0; i < 8; ++i) {
          for (int j = 0; j < 10; ++j) Tensor::full({500 + j}, j);
          graph.run();
        }
        got[k] = lesson.image.detach().to(Device{});
        left[k] = lesson.image.detach();
      });
    }
    for (std::thread& t : threads) t.join();
    for (const Tensor& t : got) CHECK(same_bits(t, want));
    for (const Tensor& t : left) CHECK(same_bits(t.to(Device{}), want));  // outlives its thread
  }

  // Whoever comes next gets the memory of a thread that has ended.
  constexpr std::int64_t large = 75 << 20;
  allocator(test_device()).trim();
  std::thread([&] { Tensor::empty({large}, DType::f32, test_device()); }).join();
  const std::size_t memory = reserved();
  Tensor::empty({large});
  CHECK(reserved() == memory);
}

TEST_CASE("captured graph: a block that another thread releases is not used again too early" * doctest::skip(no_test_device())) {
  const DefaultDevice guard(test_device());
  Tensor x = hashed_input("replay/x", {1000}).to(test_device()), y;
  accelerator(test_device(), "test").synchronize();
  const Tensor want = (x + 1).to(Device{});
  const void* place = x.raw();
  std::promise<void> released, used;
  std::thread other([&] {
    const DefaultDevice there(test_device());
    y = x + 1;
    x = {};
    released.set_value();
    used.get_future().wait();
  });
  released.get_future().wait();
  const Tensor z = Tensor::full({1000}, 7);
  z.to(Device{});
  used.set_value();
  other.join();
  CHECK(z.raw() == place);
  CHECK(same_bits(y.to(Device{}), want));
}

TEST_CASE("captured graph: on the CPU the work just runs") {
  int runs = 0;
  const auto graphs = graph_launches();
  CapturedGraph graph(Device{}, "test", [&] {
    CHECK(!CapturedGraph::capturing());
    ++runs;
  });
  for (int i = 0; i < 3; ++i) graph.run();
  CHECK(runs == 3);
  CHECK(graph_launches() == graphs);
}

TEST_CASE("constant: made once") {
  const Tensor a = constant({1, 2}, {1, 2}, DType::f32);
  CHECK(constant({1, 2}, {1, 2}, DType::f32).raw() == a.raw());
  CHECK(constant({1, 2}, {2, 1}, DType::f32).raw() != a.raw());
  CHECK(constant({1, 3}, {1, 2}, DType::f32).raw() != a.raw());
  CHECK(same_bits(constant({1, 2}, {1, 2}, DType::f64), Tensor::from(std::vector<double>{1, 2}, {1, 2})));
}
