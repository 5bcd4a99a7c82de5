// Input that is damaged or means harm: one clear sentence, and whatever OUT was before stays.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "engine/error.h"
#include "engine/files.h"
#include "engine/hash.h"
#include "engine/safetensors.h"
#include "tests/cli/program.h"
#include "tests/support/check.h"
#include "weights_converter/checkpoint.h"

using namespace g2s;
using namespace g2s::test;
using convert::Format;

namespace {

namespace fs = std::filesystem;

void write(const std::string& path, const std::string& content) { std::ofstream(path, std::ios::binary) << content; }

// Refused with one line that has all the parts; OUT keeps its content and nothing else appears beside it.
void refused(const TemporaryFolder& folder, const std::vector<std::string>& arguments, const std::vector<std::string>& parts, int code = 1) {
  const std::string out = folder / "results/out.safetensors";
  make_folders(folder / "results");
  write(out, "precious");
  std::vector<std::string> all = {"convert", "--force"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  all.push_back(out);
  const Outcome outcome = run_program(all);
  INFO(outcome.err);
  CHECK(outcome.code == code);
  CHECK(outcome.out.empty());
  CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(outcome.err.find(part) != std::string::npos);
  }
  CHECK(read_file(out) == "precious");
  CHECK(entries(folder / "results") == std::vector<std::string>{"out.safetensors"});
}

// Reads every beginning of a file; gives how many of them were taken for a whole one.
int whole_beginnings(Format format, const std::string& content) {
  int whole = 0;
  for (std::size_t length = 0; length < content.size(); ++length) {
    try {
      convert::read_checkpoint("file", convert::own_bytes(content.substr(0, length)), format);
      ++whole;
    } catch (const Error& e) {
      CHECK(e.op() == "file");
      CHECK((e.code() == Errc::format || e.code() == Errc::unsupported));
    }
  }
  return whole;
}

}  // namespace

TEST_CASE("convert: a file cut at any byte is refused") {
  const std::pair<const char*, Format> readers[] = {{"pytorch_zip", Format::pytorch_zip}, {"pytorch_legacy", Format::pytorch_legacy},
                                                    {"pickle", Format::pickle},           {"npy", Format::npy},
                                                    {"npz", Format::npz},                 {"safetensors", Format::safetensors}};
  for (const auto& [name, format] : readers) {
    const std::string corpus = source_path("tests/fuzz/corpus/" + std::string(name));
    for (const std::string& file : entries(corpus)) {
      CAPTURE(name);
      CAPTURE(file);
      const std::string content = read_file(corpus + "/" + file);
      CHECK_NOTHROW(convert::read_checkpoint("file", convert::own_bytes(content), format));
      CHECK(whole_beginnings(format, content) == 0);
    }
  }
}

TEST_CASE("convert: an ONNX file cut within its graph is refused") {
  // The graph is one field: only what ends before or after it can be taken for a model.
  const std::string content = read_file(source_path("tests/fuzz/corpus/onnx/conv"));
  const auto model = convert::read_checkpoint("file", convert::own_bytes(content), Format::onnx);
  CHECK(model->convolutions.size() == 1);
  for (std::size_t length = 0; length < content.size(); ++length) {
    try {
      const auto cut = convert::read_checkpoint("file", convert::own_bytes(content.substr(0, length)), Format::onnx);
      CHECK((cut->tensors.empty() || cut->tensors.size() == model->tensors.size()));
    } catch (const Error& e) {
      CHECK(e.code() == Errc::format);
    }
  }
}

TEST_CASE("convert: what a pickle would run is named and not run") {
  TemporaryFolder folder;
  const std::string touched = folder / "touched";
  write(folder / "os.pkl", "cos\nsystem\n(S'touch " + touched + "'\ntR.");
  refused(folder, {folder / "os.pkl"}, {"os.pkl", "os.system", "nothing was run"});
  refused(folder, {"--kind", "tensors", folder / "os.pkl"}, {"os.system"});
  write(folder / "posix.pkl", std::string("\x80\x02" "cposix\nsystem\nX\x02\0\0\0ls\x85R.", 26));
  refused(folder, {folder / "posix.pkl"}, {"posix.pkl", "posix.system"});
  CHECK_FALSE(fs::exists(touched));
  const Outcome info = run_program({"info", folder / "os.pkl"});
  CHECK(info.code == 1);
  CHECK(info.err.find("os.system") != std::string::npos);
  CHECK_FALSE(fs::exists(touched));
}

TEST_CASE("convert: files that are none of the formats, and what they seem to be") {
  TemporaryFolder folder;
  auto seems = [&](const std::string& content, const std::string& what) {
    write(folder / "x.pt", content);
    refused(folder, {folder / "x.pt"}, {"x.pt", what});
  };
  seems("", "empty");
  seems("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS");
  seems("<!DOCTYPE html><html></html>", "web page");
  seems("\x1f\x8b\x08 and so on", "unpack it first");
  seems("\x89HDF\r\n", "HDF5");
  seems("some text that is nothing of the kind", "no checkpoint of a known format");
  seems(std::string(257, '\0') + "ustar  " + std::string(300, '\0'), "tar archive");
  seems(read_file(source_path("tests/fuzz/corpus/pytorch_zip/state")).substr(0, 900), "ZIP archive");
  refused(folder, {folder / "absent.pt"}, {"absent.pt", "No such file"});
  refused(folder, {folder.path()}, {folder.path(), "is a folder"});
  refused(folder, {source_path("tests/fixtures/reader_tar.pt")}, {"reader_tar.pt", "tar archive", "old PyTorch"});
  refused(folder, {source_path("tests/fixtures/reader_big_endian.pt")}, {"reader_big_endian.pt", "big-endian machine"});
  std::string legacy = read_file(source_path("tests/fixtures/torch2_legacy.pt"));
  const std::size_t flag = legacy.find('\x88', legacy.find("little_endian"));  // True
  REQUIRE(flag != std::string::npos);
  legacy[flag] = '\x89';
  seems(legacy, "big-endian machine");
}

TEST_CASE("convert: options that cannot be, and outputs that cannot be written") {
  TemporaryFolder folder;
  write_safetensors(folder / "a.safetensors", {{"x", Tensor::zeros({100, 100})}});
  refused(folder, {folder / "a.safetensors", "--dtype", "f8"}, {"--dtype", "'f8'", "bf16"}, 2);
  refused(folder, {folder / "a.safetensors", "--kind", "unet"}, {"--kind", "'unet'", "u2netp"}, 2);
  refused(folder, {folder / "a.safetensors", "--kind", "tensors", "--network", "g"}, {"--network", "'g'"});
  refused(folder, {folder / "a.safetensors", folder / "a.safetensors", "--kind", "tensors"}, {"tensor x", "appears twice"});
  refused(folder, {folder / "a.safetensors", "--kind", "stylegan2-generator"}, {"a.safetensors"});
  // Who forgets OUT keeps the last input.
  write(folder / "b.pt", "precious");
  const Outcome forgotten = run_program({"convert", folder / "a.safetensors", folder / "b.pt"});
  CHECK(forgotten.code == 1);
  CHECK(read_file(folder / "b.pt") == "precious");
  CHECK(run_program({"convert", folder / "a.safetensors"}).code == 2);

  const std::string out = folder / "deep/er/out.safetensors";
  REQUIRE(run_program({"convert", folder / "a.safetensors", out}).code == 0);
  const auto before = file_hashes(folder / "deep");
  const Outcome full = run_program({"convert", "--force", "--dtype", "f32", folder / "a.safetensors", out}, {.file_limit = 10000});
  INFO(full.err);
  CHECK(full.code == 1);
  CHECK(full.err.find("cannot be written") != std::string::npos);
  CHECK(file_hashes(folder / "deep") == before);
  CHECK(entries(folder / "deep/er") == std::vector<std::string>{"out.safetensors"});
  write(folder / "file", "");
  CHECK(run_program({"convert", folder / "a.safetensors", folder / "file/out.safetensors"}).code == 1);
}

TEST_CASE("convert: tensors stay bit for bit, numbers change their type, metadata says where they come from") {
  TemporaryFolder folder;
  const Tensor x = hashed_input("convert/x", {7, 5}), whole = Tensor::from<std::int32_t>({1, -2, 3});
  write_safetensors(folder / "a.safetensors", {{"x", x}, {"n", whole}}, {{"licence", "mine"}});
  write_safetensors(folder / "b.safetensors", {{"y", x}});
  REQUIRE(run_program({"convert", folder / "a.safetensors", folder / "b.safetensors", "--kind", "tensors", folder / "ab.safetensors"}).code == 0);
  const SafetensorsFile both(folder / "ab.safetensors");
  CHECK(both.entries().size() == 3);
  CHECK(same_bits(both.get("x"), x));
  CHECK(same_bits(both.get("y"), x));
  CHECK(same_bits(both.get("n"), whole));
  REQUIRE(run_program({"convert", folder / "a.safetensors", "--kind", "tensors", "--dtype", "f16", folder / "half.safetensors"}).code == 0);
  const SafetensorsFile half(folder / "half.safetensors");
  CHECK(same_bits(half.get("x"), x.to(DType::f16)));
  CHECK(same_bits(half.get("n"), whole));
  CHECK(half.metadata().at("source_format") == "safetensors");
  CHECK(half.metadata().at("licence") == "mine");
  CHECK(half.metadata().at("source_xxh128") == xxh128(read_file(folder / "a.safetensors")));
  // In place: the input is replaced when all of it has been read.
  REQUIRE(run_program({"convert", "--force", folder / "a.safetensors", "--kind", "tensors", folder / "a.safetensors"}).code == 0);
  CHECK(same_bits(SafetensorsFile(folder / "a.safetensors").get("x"), x));
}
