// Helpers of the tests: errors, hashed inputs, gradient checks, places of files.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/context.h"
#include "engine/hashed_tensor.h"
#include "engine/parallel.h"
#include "engine/tensor.h"
#include "tests/support/skip.h"

namespace g2s::test {

// |got - want| / |want| in double (Euclidean norms over all elements). 0 if both are zero; infinity if only `want` is, if the shapes differ
// or if an element is not finite. So `CHECK(rel_error(a, b) < tolerance)` fails whenever something is wrong.
double rel_error(const Tensor& got, const Tensor& want);
// Of all their elements together.
double rel_error(const std::vector<Tensor>& got, const std::vector<Tensor>& want);
double norm(const Tensor& t);
double dot(const Tensor& a, const Tensor& b);
bool same_bits(const Tensor& a, const Tensor& b);  // shape, dtype and every byte; two undefined tensors are the same

// scale * u(name, i) + offset rounded to f32 (in f64 too, so that both see the same numbers).
Tensor hashed_input(const std::string& name, const Shape& shape, DType dtype = DType::f32, double scale = 1, double offset = 0);

using Threads = WithThreads;

using Function = std::function<Tensor(const std::vector<Tensor>&)>;

struct GradcheckOptions {
  std::vector<int> inputs = {};  // which to check; empty: all
  int directions = 0;            // 0: element by element; else that many hashed directions through all inputs at once (for big functions)
  std::int64_t max_elements = 256;  // of an input, element by element: beyond, hashed ones are picked and one direction covers the rest
  double step = 1e-5;
  std::string name = "gradcheck";  // of the hashed cotangent and directions
};

// Compares grad() of <fn(inputs), hashed cotangent> with central differences of one step size: the norm of the error over the norm, the
// worst of the inputs. Inputs are f64. Kinks must be further away than the step, by construction of the inputs.
double gradcheck(const Function& fn, const std::vector<Tensor>& inputs, const GradcheckOptions& options = {});

// A file or folder of the repository.
std::string source_path(const std::string& relative);
// A file or folder of the shared data, G2S_SHARED or else ../shared next to the repository. Absent: registers the skip and gives nothing.
std::optional<std::string> shared_path(const std::string& relative);

}  // namespace g2s::test
