#include "engine/autograd.h"

#include <doctest/doctest.h>

#include <cmath>
#include <thread>

#include "engine/accumulate.h"
#include "engine/allocator.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce.h"
#include "kernels/shape/shape.h"
#include "tests/support/check.h"

using namespace g2s;

namespace {

Tensor leaf(std::vector<float> values) { return Tensor::from(values).set_requires_grad(); }
std::vector<float> values(const Tensor& t) { return t.to_vector<float>(); }
using Values = std::vector<float>;

// x, with a derivative that counts its calls.
Tensor counted(const Tensor& x, int* calls) {
  return record(x.clone(), "counted", {x}, [calls](const BackwardArgs& g) {
    ++*calls;
    return std::vector<Tensor>{g.dy};
  });
}

}  // namespace

TEST_CASE("autograd: a product and a sum") {
  Tensor x = leaf({1, 2, 3}), w = leaf({4, 5, 6});
  std::vector<Tensor> g = grad({sum(x * w + x)}, {x, w});
  CHECK(values(g[0]) == Values{5, 6, 7});
  CHECK(values(g[1]) == Values{1, 2, 3});
  CHECK(!g[0].requires_grad());
}

TEST_CASE("autograd: gradients from several paths add up") {
  Tensor x = leaf({3});
  int calls = 0;
  Tensor shared = counted(x, &calls);
  // A diamond, twice in a row: each vertex is visited once, with all that arrived.
  Tensor y = shared * 2.0 + shared * shared;
  Tensor z = y * y + y;
  CHECK(values(grad({z}, {x})[0]) == Values{(2 * 15 + 1) * (2 + 2 * 3)});
  CHECK(calls == 1);
  CHECK(values(grad({x + x}, {x})[0]) == Values{2});
  CHECK(values(grad({x * x * x}, {x})[0]) == Values{27});
}

TEST_CASE("autograd: several outputs, with and without given gradients") {
  Tensor x = leaf({1, 2}), y = x * 3.0, z = sum(x * x);
  std::vector<Tensor> g = grad({y, z}, {x}, {Tensor::from<float>({10, 100}), {}}, {.retain_graph = true});
  CHECK(values(g[0]) == Values{32, 304});
  // The same output twice counts twice.
  CHECK(values(grad({z, z}, {x})[0]) == Values{4, 8});
  // An output that is itself an input.
  CHECK(values(grad({sum(x)}, {x})[0]) == Values{1, 1});
  Tensor s = leaf({5});
  CHECK(values(grad({s}, {s})[0]) == Values{1});
}

TEST_CASE("autograd: inputs in the middle of the graph") {
  Tensor x = leaf({2}), h = x * x, y = h * h;
  std::vector<Tensor> g = grad({y}, {h, x}, {}, {.retain_graph = true});
  CHECK(values(g[0]) == Values{8});
  CHECK(values(g[1]) == Values{32});
  CHECK(values(grad({y}, {h})[0]) == Values{8});
}

TEST_CASE("autograd: only what leads to the inputs is computed") {
  Tensor x = leaf({2}), w = leaf({3});
  int x_calls = 0, w_calls = 0;
  Tensor y = counted(x, &x_calls) * counted(w, &w_calls);
  grad({y}, {w});
  CHECK(x_calls == 0);
  CHECK(w_calls == 1);
  std::vector<bool> seen;
  Tensor z = record(x.clone(), "pair", {x, w}, [&](const BackwardArgs& g) {
    seen = g.needs;
    return std::vector<Tensor>{{}, g.dy};
  });
  grad({z}, {w});
  CHECK(seen == std::vector<bool>{false, true});
}

TEST_CASE("autograd: inputs that are not used, or not differentiable") {
  Tensor x = leaf({1}), unused = leaf({1}), plain = Tensor::from<float>({1});
  CHECK_THROWS_WITH(grad({x * 2.0}, {x, unused}), "grad: the outputs do not depend on an input f32 [1]");
  std::vector<Tensor> g = grad({x * 2.0}, {x, unused}, {}, {.allow_unused = true});
  CHECK(values(g[0]) == Values{2});
  CHECK(!g[1].defined());
  CHECK_THROWS_WITH(grad({x * 2.0}, {plain}), "grad: an input f32 [1] does not require gradients");
  CHECK_THROWS_WITH(grad({plain}, {x}), "grad: the outputs do not depend on an input f32 [1]");
  CHECK_THROWS_WITH(grad({leaf({1, 2}) * 2.0}, {x}, {}, {.allow_unused = false}), "grad: the outputs do not depend on an input f32 [1]");
  Tensor v = leaf({1, 2});
  CHECK_THROWS_WITH(grad({v * 2.0}, {v}), "grad: an output f32 [2] is not a scalar and needs its gradient given");
  CHECK_THROWS_WITH(grad({v * 2.0}, {v}, {x}), "grad: gradient f32 [1] for an output f32 [2]");
  CHECK_THROWS_WITH(grad({v * 2.0}, {v}, {v, v}), "grad: one gradient per output is needed");
}

TEST_CASE("autograd: a graph is freed by grad() unless it is retained") {
  Tensor x = leaf({3}), y = x * x, z = y * 2.0;
  CHECK(values(grad({z}, {x}, {}, {.retain_graph = true})[0]) == Values{12});
  CHECK(values(grad({z}, {x})[0]) == Values{12});
  CHECK_THROWS_WITH(grad({z}, {x}), "grad: the graph behind affine was freed by an earlier grad(); pass retain_graph");
  // Nor does it give a part of the gradient, or none, when a graph is half freed.
  CHECK_THROWS_WITH(grad({y + x}, {x}, {}, {.allow_unused = true}), "grad: the graph behind mul was freed by an earlier grad(); pass retain_graph");
  // What was freed for one input does not stand in the way of another.
  Tensor w = leaf({5});
  CHECK(values(grad({z * w}, {w})[0]) == Values{18});
}

TEST_CASE("autograd: freeing the graph frees what it saved, on the way") {
  std::size_t before = allocator({}).stats().in_use;
  {
    Tensor x = Tensor::full({1 << 16}, 2.0).set_requires_grad(), y = x;
    for (int i = 0; i < 20; ++i) y = tanh(y);
    Tensor loss = sum(y);
    y = {};
    CHECK(allocator({}).stats().in_use >= before + (20u << 18));
    allocator({}).reset_peak();
    grad({loss}, {x});
    CHECK(allocator({}).stats().in_use < before + (3u << 18));
    CHECK(allocator({}).stats().peak < before + (25u << 18));
  }
  CHECK(allocator({}).stats().in_use == before);
}

TEST_CASE("autograd: nothing keeps itself alive") {
  std::size_t before = allocator({}).stats().in_use;
  {
    Tensor x = Tensor::full({100}, 0.5).set_requires_grad();
    Tensor y = sum(sqrt(exp(x)) * sigmoid(x) / tanh(x));
    Tensor g = grad({y}, {x}, {}, {.create_graph = true})[0];
    Tensor gg = grad({sum(g * g)}, {x}, {}, {.create_graph = true})[0];
    CHECK(gg.requires_grad());
  }
  CHECK(allocator({}).stats().in_use == before);
}

TEST_CASE("autograd: derivatives of any order with create_graph") {
  Tensor x = leaf({2}), y = x * x * x * x;
  std::vector<float> want = {32, 48, 48, 24};
  for (float w : want) {
    y = grad({y}, {x}, {}, {.create_graph = true})[0];
    CHECK(values(y) == Values{w});
  }
  CHECK_THROWS_AS(grad({y}, {x, leaf({1})}), Error);
  Tensor a = leaf({1, 2}), first = grad({sum(exp(a) * a)}, {a})[0];
  CHECK(!first.requires_grad());
}

TEST_CASE("autograd: a gradient without a derivative of its own says so") {
  Tensor x = leaf({2});
  auto op = [](const Tensor& t) {
    return record(t * 1.0, "halfway", {t}, [t](const BackwardArgs& g) {
      NoGrad guard;
      return std::vector<Tensor>{no_second_derivative(g.dy * 3.0, "halfway", {t, g.dy})};
    });
  };
  CHECK(values(grad({op(x)}, {x})[0]) == Values{3});
  auto gradient_in_graph = [](const Tensor& t) {
    return record(t.clone(), "halfway", {t}, [t](const BackwardArgs& g) {
      Tensor dx;
      {
        NoGrad guard;
        dx = g.dy * 3.0;
      }
      return std::vector<Tensor>{no_second_derivative(dx, "halfway", {t, g.dy})};
    });
  };
  Tensor g = grad({gradient_in_graph(x)}, {x}, {}, {.create_graph = true})[0];
  CHECK(g.requires_grad());
  CHECK_THROWS_WITH(grad({g}, {x}), "halfway: has no second derivative");
}

TEST_CASE("autograd: the same gradient tensor flowing to two inputs is not accumulated into") {
  // add() hands its own dy to both sides; one side then receives more.
  Tensor x = leaf({1, 1}), y = leaf({1, 1});
  Tensor given = Tensor::from<float>({1, 10});
  Tensor first = x * 5.0;  // recorded before the sum: its gradient arrives after
  std::vector<Tensor> g = grad({x + y, first}, {x, y}, {given, given});
  CHECK(values(g[0]) == Values{6, 60});
  CHECK(values(g[1]) == Values{1, 10});
  CHECK(values(given) == Values{1, 10});

  // Through views of the same memory.
  Tensor z = leaf({1, 2, 3, 4});
  Tensor out = z.reshape({2, 2}) + z.reshape({2, 2}), other = z * 2.0;
  Tensor dy = Tensor::full({2, 2}, 1);
  CHECK(values(grad({out, other}, {z}, {dy, Tensor::full({4}, 1)})[0]) == Values{4, 4, 4, 4});
  CHECK(values(dy) == Values{1, 1, 1, 1});

  // A chain of additions where every vertex has two consumers.
  Tensor a = leaf({1}), b = leaf({1}), s = a + b, t = s + a, u = t + s + b;
  std::vector<Tensor> chain = grad({u}, {a, b, s}, {Tensor::from<float>({1})});
  CHECK(values(chain[0]) == Values{3});
  CHECK(values(chain[1]) == Values{3});
  CHECK(values(chain[2]) == Values{2});

  // A constant gradient is never written.
  Tensor c = leaf({1, 1}), constant = Tensor::from<float>({7, 8}).set_constant();
  CHECK(values(grad({c + c, c * 2.0}, {c}, {constant, constant})[0]) == Values{28, 32});
}

TEST_CASE("autograd: accumulate writes in place only when nobody else can see it") {
  Tensor more = Tensor::from<float>({10, 20});
  Tensor own = Tensor::from<float>({1, 2});
  const void* memory = own.raw();
  Tensor sum1 = accumulate(std::move(own), more, false);
  CHECK(sum1.raw() == memory);
  CHECK(values(sum1) == Values{11, 22});
  Tensor seen = Tensor::from<float>({1, 2}), alias = seen.reshape({2, 1});
  Tensor sum2 = accumulate(std::move(seen), more, false);
  CHECK(values(alias) == Values{1, 2});
  CHECK(values(sum2) == Values{11, 22});
  Tensor held = Tensor::from<float>({1, 2}), handle = held;
  accumulate(std::move(held), more, false);
  CHECK(values(handle) == Values{1, 2});
  CHECK(values(more) == Values{10, 20});
  Tensor big = test::hashed_input("big", {100003}), both = accumulate(big.clone(), big, false);
  CHECK(test::rel_error(both, big * 2.0) == 0);
}

TEST_CASE("autograd: graphs of a hundred thousand nodes do not exhaust the stack") {
  constexpr int depth = 100000;
  auto chain = [](const Tensor& x) {
    Tensor y = x;
    for (int i = 0; i < depth; ++i) y = y + (i % 2 ? 1.0 : -1.0);
    return y;
  };
  Tensor x = leaf({3});
  SUBCASE("dropped without a derivative") { CHECK(values(chain(x)) == Values{3}); }
  SUBCASE("differentiated") { CHECK(values(grad({chain(x)}, {x})[0]) == Values{1}); }
  SUBCASE("differentiated and kept") { CHECK(values(grad({chain(x)}, {x}, {}, {.retain_graph = true})[0]) == Values{1}); }
  SUBCASE("where derivatives hold the chain") {
    Tensor y = x;
    for (int i = 0; i < depth; ++i) y = y * x;  // captured by its derivative as well as an input
    Tensor g = grad({y}, {x}, {Tensor::from<float>({0})}, {.create_graph = true})[0];
    CHECK(g.requires_grad());
  }
}

TEST_CASE("autograd: NoGrad") {
  Tensor x = leaf({2});
  CHECK(grad_enabled());
  CHECK(will_record({&x}));
  {
    NoGrad outer;
    CHECK(!grad_enabled());
    CHECK(!will_record({&x}));
    {
      NoGrad inner;
      CHECK(!(x * 2.0).requires_grad());
    }
    CHECK(!grad_enabled());
    CHECK(!(x * 2.0).requires_grad());
  }
  CHECK(grad_enabled());
  CHECK((x * 2.0).requires_grad());
  Tensor plain = Tensor::from<float>({1}), none;
  CHECK(!will_record({&plain, &none}));
  CHECK(!(plain * 2.0).requires_grad());

  // Derivatives run without recording, and grad() inside NoGrad works on what was recorded before.
  Tensor y = x * x;
  bool recording = true;
  Tensor z = record(y.clone(), "probe", {y}, [&](const BackwardArgs& g) {
    recording = grad_enabled();
    return std::vector<Tensor>{g.dy};
  });
  NoGrad guard;
  CHECK(values(grad({z}, {x})[0]) == Values{4});
  CHECK(!recording);
}

TEST_CASE("autograd: an exception in a derivative leaves the state as it was") {
  Tensor x = leaf({2});
  auto failing = [](const Tensor& t) {
    return record(t.clone(), "failing", {t}, [](const BackwardArgs&) -> std::vector<Tensor> { fail(Errc::cancelled, "failing", "stop"); });
  };
  CHECK_THROWS_WITH(grad({failing(x)}, {x}), "failing: stop");
  CHECK(grad_enabled());
  CHECK_THROWS_WITH(grad({failing(x)}, {x}, {}, {.create_graph = true}), "failing: stop");
  {
    NoGrad guard;
    CHECK_THROWS_AS(grad({x * 2.0}, {x}), Error);  // nothing was recorded
    CHECK(!grad_enabled());
  }
  CHECK(grad_enabled());
  CHECK(values(grad({x * x}, {x})[0]) == Values{4});
}

TEST_CASE("autograd: derivatives that give the wrong thing are found") {
  Tensor x = leaf({2, 3});
  auto with = [&](std::vector<Tensor> result) { return record(x.clone(), "wrong", {x}, [=](const BackwardArgs&) { return result; }); };
  Tensor dy = Tensor::full({2}, 1);
  CHECK_THROWS_WITH(grad({with({})}, {x}, {dy}), "wrong: its derivative gave 0 gradients for 1 inputs");
  CHECK_THROWS_WITH(grad({with({{}})}, {x}, {dy}), "wrong: gradient 0 is undefined for an input f32 [2]");
  CHECK_THROWS_WITH(grad({with({Tensor::zeros({3})})}, {x}, {dy}), "wrong: gradient 0 is f32 [3] for an input f32 [2]");
  CHECK_THROWS_WITH(grad({with({Tensor::zeros({2}, DType::f64)})}, {x}, {dy}), "wrong: gradient 0 is f64 [2] for an input f32 [2]");
}

TEST_CASE("autograd: a saved output is the vertex that it was, in second derivatives too") {
  Tensor x = leaf({0.5f});
  Tensor y = exp(x), first = grad({y}, {x}, {}, {.create_graph = true})[0];
  double e = std::exp(0.5);
  CHECK(first.item() == doctest::Approx(e));
  CHECK(grad({first}, {x})[0].item() == doctest::Approx(e));
}

TEST_CASE("autograd: a graph that several threads built in turns") {
  Tensor x = leaf({3}), y, z;
  std::thread([&] {
    for (int i = 0; i < 10; ++i) y = (y.defined() ? y : x) * 1.0;
    y = y * y;
  }).join();
  std::thread([&] { z = y * y + y; }).join();
  CHECK(values(grad({z}, {x})[0]) == Values{4 * 27 + 6});
}

TEST_CASE("autograd: leaves") {
  Tensor x = leaf({1}), y = x * 2.0;
  CHECK_THROWS_WITH(y.set_requires_grad(), "set_requires_grad: only a leaf can be told to require gradients; detach() first");
  CHECK_THROWS_WITH(Tensor::zeros({1}, DType::i32).set_requires_grad(), "set_requires_grad: gradients exist for f32 and f64 only, not i32");
  CHECK(!y.detach().requires_grad());
  CHECK(!y.clone().requires_grad());
  CHECK(y.detach().raw() == y.raw());
  Tensor converted = x.to(DType::f64);
  CHECK(converted.requires_grad());
  CHECK(grad({converted * converted}, {x})[0].dtype() == DType::f32);
}
