// More images, products or rows than a device takes blocks in y or in z, 65,535, against the CPU.
#pragma once

#include <doctest/doctest.h>

#include "engine/autograd.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/cuda_paths.h"

namespace g2s::test {

inline constexpr std::int64_t many = 65537;

// f's result of `inputs` and, if they are wanted, their gradients, on the host.
template <class F>
std::vector<Tensor> results(Device device, const std::vector<Tensor>& inputs, bool gradients, F f) {
  std::vector<Tensor> in;
  for (const Tensor& t : inputs) in.push_back(t.to(device).detach());
  if (gradients)
    for (Tensor& t : in) t.set_requires_grad();
  const Tensor y = f(in);
  std::vector<Tensor> all;
  if (gradients) all = grad({y}, in, {hashed_input("dy", y.shape()).to(device)});
  all.push_back(y);
  for (Tensor& t : all) t = t.detach().to(Device{});
  return all;
}

// `kernel` must have gone in two launches.
template <class F>
void check_on_device(const char* kernel, const std::vector<Tensor>& inputs, bool gradients, F f) {
  const OurKernels ours;
  const std::vector<Tensor> want = results(Device{}, inputs, gradients, f);
  cuda::forget_launches();
  const std::vector<Tensor> got = results(test_device(), inputs, gradients, f);
  CHECK(launches_of(kernel) == 2);
  for (std::size_t i = 0; i < want.size(); ++i) CHECK(rel_error(got[i], want[i]) < 1e-5);
}

}  // namespace g2s::test
