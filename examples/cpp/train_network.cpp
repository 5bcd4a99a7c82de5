// A network of one's own: two convolutions and a linear layer learn to tell discs from squares.
// usage: train_network [ITERATIONS]
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <vector>

#include "engine/autograd.h"
#include "kernels/adam/adam.h"
#include "kernels/conv/conv.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/matmul/matmul.h"
#include "kernels/random/random.h"
#include "kernels/reduce/reduce.h"

using namespace g2s;

namespace {

constexpr std::int64_t batch = 32, size = 16;

// Pictures [batch,size,size,1] of one shape each, and what it is, [batch,1]: 1 a disc, -1 a square.
struct Examples {
  Tensor pictures, kinds;
};
Examples draw(Random& random) {
  const std::vector<float> r = random.uniform({batch, 4}).to_vector<float>();
  std::vector<float> pixels, kinds;
  for (std::int64_t b = 0; b < batch; ++b) {
    const bool disc = r[4 * b] < 0.5f;
    const float x = 6 + 4 * r[4 * b + 1], y = 6 + 4 * r[4 * b + 2], radius = 3 + 2 * r[4 * b + 3];
    for (std::int64_t i = 0; i < size * size; ++i) {
      const float dx = std::abs(i % size - x), dy = std::abs(i / size - y);
      pixels.push_back((disc ? std::hypot(dx, dy) : std::max(dx, dy)) < radius ? 1.0f : 0.0f);
    }
    kinds.push_back(disc ? 1.0f : -1.0f);
  }
  return {Tensor::from(pixels, {batch, size, size, 1}), Tensor::from(kinds, {batch, 1})};
}

}  // namespace

int main(int argc, char** argv) {
  Random random(1);
  // Weights of a convolution are [out, rows, columns, in]. Biases begin at 0.
  std::vector<Tensor> p = {random.normal({8, 3, 3, 1}, 0, 0.3), Tensor::zeros({8}), random.normal({16, 3, 3, 8}, 0, 0.15),
                           Tensor::zeros({16}), random.normal({16, 1}, 0, 0.3)};
  for (Tensor& parameter : p) parameter.set_requires_grad();
  Adam adam(p, {.lr = 0.01});
  const int iterations = argc > 1 ? std::atoi(argv[1]) : 200;
  for (int i = 0; i < iterations; ++i) {
    const auto [pictures, kinds] = draw(random);
    const Tensor x = relu(conv2d(pictures, p[0], {.stride = 2, .pad = 1}) + p[1]);
    const Tensor y = relu(conv2d(x, p[2], {.stride = 2, .pad = 1}) + p[3]);
    const Tensor score = matmul(mean(y, {1, 2}), p[4]) * kinds;  // positive where it is right
    adam.step(grad({mean(log(1 + exp(-score)))}, p));
    if (i % 20 == 0 || i + 1 == iterations) std::cout << "iteration " << i << ": right " << mean(greater_equal(score, 0)).item() << '\n';
  }
}
