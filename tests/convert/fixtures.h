// Runs `gan2shape convert` on the files of tests/fixtures, and looks at safetensors files byte by byte.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/tensor.h"
#include "tests/cli/program.h"

namespace g2s::test {

std::string fixture(const std::string& name);
// tests/fixtures/NAME.gz, unpacked into the folder.
std::string unpacked_fixture(const TemporaryFolder& folder, const std::string& name);

// The members of the archive tests/fixtures/NAME as files in the folder; their paths.
std::vector<std::string> unpacked_archive(const TemporaryFolder& folder, const std::string& name);

struct RawTensor {
  std::string dtype;  // as the file names it
  std::vector<std::int64_t> shape;
  std::string bytes;
  bool operator==(const RawTensor&) const = default;
};
struct RawSafetensors {
  std::map<std::string, RawTensor> tensors;
  std::map<std::string, std::string> metadata;
};
RawSafetensors read_raw(const std::string& path);

// What `convert INPUTS OUT OPTIONS` wrote to a file in the folder; requires that it ended well. `outcome` gets what it printed.
std::string convert(const TemporaryFolder& folder, const std::vector<std::string>& inputs, const std::vector<std::string>& options = {},
                    Outcome* outcome = nullptr);

// The elements with hashed signs summed into hashed buckets, as tests/fixtures/common.py does it; in the checkpoint's order (NCHW) and f64.
Tensor fixture_sketch(const Tensor& x);

}  // namespace g2s::test
