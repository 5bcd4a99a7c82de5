// Files as PyTorch, numpy and onnx wrote them (tests/fixtures) convert to their exact tensors.
#include <doctest/doctest.h>

#include "engine/error.h"
#include "tests/convert/fixtures.h"

using namespace g2s;
using namespace g2s::test;

namespace {

const std::vector<std::string> as_tensors = {"--kind", "tensors", "--allow-nonfinite"};  // infinities are among the special numbers

// Those of `got` whose names begin with the prefix are exactly those of `want`.
void check_same(const RawSafetensors& got, const RawSafetensors& want, const std::string& prefix = "") {
  std::size_t count = 0;
  for (const auto& [name, tensor] : got.tensors)
    if (name.compare(0, prefix.size(), prefix) == 0) ++count;
  CHECK(count == want.tensors.size());
  for (const auto& [name, tensor] : want.tensors) {
    INFO(prefix << name);
    REQUIRE(got.tensors.count(prefix + name) == 1);
    const RawTensor& other = got.tensors.at(prefix + name);
    CHECK(other.dtype == tensor.dtype);
    CHECK(other.shape == tensor.shape);
    CHECK(other.bytes == tensor.bytes);
  }
}

}  // namespace

TEST_CASE("convert: PyTorch archives and legacy files, of 1.13 and 2.x") {
  const TemporaryFolder folder;
  const RawSafetensors want = read_raw(fixture("torch_expected.safetensors")), module = read_raw(fixture("torch_module_expected.safetensors"));
  REQUIRE(want.tensors.size() == 26);
  for (const std::string version : {"torch1", "torch2"}) {
    for (const std::string kind : {"_zip.pt", "_legacy.pt"}) {
      INFO(version << kind);
      check_same(read_raw(convert(folder, {fixture(version + kind)}, as_tensors)), want);
    }
    INFO(version << "_module.pt");
    check_same(read_raw(convert(folder, {fixture(version + "_module.pt")}, as_tensors)), module);
  }
}

TEST_CASE("convert: PyTorch archives with deflated members and with 64-bit sizes") {
  const TemporaryFolder folder;
  const RawSafetensors want = read_raw(fixture("torch_expected.safetensors"));
  for (const std::string name : {"reader_deflated.pt", "reader_zip64.pt"}) {
    INFO(name);
    check_same(read_raw(convert(folder, {fixture(name)}, as_tensors)), want);
  }
}

TEST_CASE("convert: pickles of numpy arrays, protocols 0 to 5, of numpy 1 and 2") {
  const TemporaryFolder folder;
  const RawSafetensors want = read_raw(fixture("numpy_expected.safetensors"));
  for (const std::string version : {"numpy1", "numpy2"})
    for (int protocol = 0; protocol <= 5; ++protocol) {
      INFO(version << " protocol " << protocol);
      check_same(read_raw(convert(folder, {fixture(str(version, "_protocol", protocol, ".pkl"))}, as_tensors)), want, "layers.");
    }
}

TEST_CASE("convert: a pickle of Python 2") {
  const TemporaryFolder folder;
  check_same(read_raw(convert(folder, {fixture("python2.pkl")}, as_tensors)), read_raw(fixture("python2_expected.safetensors")));
}

TEST_CASE("convert: .npz, compressed or not, and .npy") {
  const TemporaryFolder folder;
  const RawSafetensors want = read_raw(fixture("numpy_expected.safetensors"));
  check_same(read_raw(convert(folder, {fixture("numpy.npz")}, as_tensors)), want);
  check_same(read_raw(convert(folder, {fixture("numpy_compressed.npz")}, as_tensors)), want);
  for (const std::string name : {"float32", "fortran", "big_endian", "scalar", "float16"}) {
    INFO(name);
    RawSafetensors one;
    one.tensors["data"] = want.tensors.at(name);
    check_same(read_raw(convert(folder, {fixture("numpy_" + name + ".npy")}, as_tensors)), one);
  }
}

TEST_CASE("convert: ONNX initialisers, and none from other files") {
  const TemporaryFolder folder;
  check_same(read_raw(convert(folder, {fixture("small.onnx")}, as_tensors)), read_raw(fixture("onnx_expected.safetensors")));
  const Outcome refused = run_program({"convert", fixture("external.onnx"), folder / "out.safetensors", "--kind", "tensors"});
  CHECK(refused.code == 1);
  CHECK(refused.err.find("external") != std::string::npos);
  CHECK(entries(folder.path()).size() == 1);  // nothing but the good conversion
}

TEST_CASE("convert: safetensors pass unchanged, and change their type on request") {
  const TemporaryFolder folder;
  const std::string in = fixture("torch_expected.safetensors");
  const RawSafetensors want = read_raw(in);
  check_same(read_raw(convert(folder, {in}, as_tensors)), want);
  const RawSafetensors half = read_raw(convert(folder, {in}, {"--kind", "tensors", "--dtype", "f16", "--allow-nonfinite"}));
  CHECK(half.tensors.at("net.float32").dtype == "F16");
  CHECK(half.tensors.at("net.float64").dtype == "F16");
  CHECK(half.tensors.at("net.float16") == want.tensors.at("net.float16"));
  CHECK(half.tensors.at("net.int64") == want.tensors.at("net.int64"));
  CHECK(half.tensors.at("net.bool") == want.tensors.at("net.bool"));
}
