// Bad input: one clear sentence on stderr, a non-zero exit code, nothing written.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "engine/files.h"
#include "engine/image.h"
#include "engine/npy.h"
#include "engine/safetensors.h"
#include "tests/cli/program.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

namespace fs = std::filesystem;

std::string head(const std::string& name) { return source_path("assets/heads/" + name); }

Tensor plain_image(std::int64_t height, std::int64_t width, std::int64_t channels, int value) {
  Tensor x = Tensor::empty({height, width, channels}, DType::u8);
  std::fill_n(x.mutable_data<std::uint8_t>(), x.numel(), static_cast<std::uint8_t>(value));
  return x;
}

std::string object_mask(const TemporaryFolder& folder) {
  write_png(folder / "object.png", plain_image(64, 64, 1, 255));
  return folder / "object.png";
}

void write(const std::string& path, const std::string& content) { std::ofstream(path, std::ios::binary) << content; }

// Refused with one line that has all the parts, and OUT does not come into being.
void refused(const TemporaryFolder& folder, std::vector<std::string> arguments, const std::vector<std::string>& parts, int code = 1) {
  const std::string out = folder / "out";
  arguments.insert(arguments.end(), {"--out", out});
  const Outcome outcome = run_program(arguments);
  INFO(outcome.err);
  CHECK(outcome.code == code);
  CHECK(outcome.out.empty());
  CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
  CHECK(outcome.err.rfind("gan2shape: ", 0) == 0);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(outcome.err.find(part) != std::string::npos);
  }
  CHECK_FALSE(fs::exists(out));
}

// A copy of the shipped weights by links, without the large LPIPS file.
std::string weights_folder(const TemporaryFolder& folder, const std::string& name) {
  const std::string path = folder / name;
  make_folders(path);
  for (const std::string file : {"stylegan2_g.safetensors", "stylegan2_d.safetensors"}) {
    fs::copy_file(source_path("assets/" + file), path + "/" + file);
  }
  return path;
}

// The file with one tensor left out or replaced.
void rewrite(const std::string& path, const std::string& name, const Tensor& replacement) {
  NamedTensors tensors;
  {
    SafetensorsFile file(path);
    for (const auto& entry : file.entries()) {
      Tensor value = entry.name == name ? replacement : file.get(entry.name);
      if (value) tensors.emplace_back(entry.name, value);
    }
  }
  write_safetensors(path, tensors);
}

}  // namespace

TEST_CASE("cli: command lines that cannot be understood") {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"fly"},
           {"reconstruct"},
           {"reconstruct", "--no-such-option", "x.png"},
           {"reconstruct", "x.png", "--seed", "many"},
           {"trace", "x.json"},
           {"evaluate", "x"}}) {
    const Outcome outcome = run_program(arguments);
    INFO(outcome.err);
    CHECK(outcome.code == 2);
    CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
  }
  for (const char* command : {"reconstruct", "generate", "evaluate", "trace", "prior", "info"}) {
    const Outcome outcome = run_program({command, "--help"});
    CHECK(outcome.code == 0);
    CHECK(outcome.out.find("Usage: gan2shape") != std::string::npos);
    CHECK(outcome.err.empty());
  }
}

TEST_CASE("cli: bad options of reconstruct") {
  TemporaryFolder folder;
  const std::string image = head("000_64.png");
  refused(folder, {"reconstruct", image, "--preset", "dog"}, {"preset", "'dog'", "church"}, 2);
  refused(folder, {"reconstruct", image, "--quality", "best"}, {"quality", "'best'", "draft"}, 2);
  refused(folder, {"reconstruct", image, "--crop", "left"}, {"--crop", "'left'"}, 2);
  refused(folder, {"reconstruct", image, "--device", "cuda"}, {"--device", "cuda"});
  refused(folder, {"reconstruct", image, "--device", "tpu"}, {"--device", "'tpu'"}, 2);
  refused(folder, {"reconstruct", image, "--threads", "-1"}, {"--threads", "-1"}, 2);
  refused(folder, {"reconstruct", image, "--resume", "--force"}, {"--resume", "--force"}, 2);
  refused(folder, {"reconstruct", image, "--preset", "face"},
          {"--weights", "'face'", "stylegan2_g.safetensors", "stylegan2_d.safetensors"});
}

TEST_CASE("cli: pictures that cannot be used") {
  TemporaryFolder folder;
  refused(folder, {"reconstruct", folder / "absent.png"}, {"absent.png", "does not exist"});
  refused(folder, {"reconstruct", folder.path()}, {folder.path(), "is a folder"});
  write(folder / "text.png", "This is no picture, whatever its name says. It is only text.");
  refused(folder, {"reconstruct", folder / "text.png"}, {"text.png", "not a picture"});
  const std::string whole = read_file(head("000_64.png"));
  write(folder / "cut.png", whole.substr(0, whole.size() / 2));
  refused(folder, {"reconstruct", folder / "cut.png"}, {"cut.png", "truncated"});
  const std::string jpeg = read_file(source_path("tests/images/rgb.jpg"));
  write(folder / "cut.jpg", jpeg.substr(0, jpeg.size() - 30));
  refused(folder, {"reconstruct", folder / "cut.jpg"}, {"cut.jpg", "truncated"});
  write_png(folder / "small.png", plain_image(40, 31, 3, 100));
  refused(folder, {"reconstruct", folder / "small.png"}, {"small.png", "31 x 40", "32"});
  write_png(folder / "flat.png", plain_image(64, 64, 3, 100));
  refused(folder, {"reconstruct", folder / "flat.png"}, {"flat.png", "no object", "--mask"});
  write_png(folder / "clear.png", plain_image(64, 64, 4, 0));
  refused(folder, {"reconstruct", folder / "clear.png"}, {"clear.png", "alpha", "--mask"});
  // What is wrong with all of several is one sentence too.
  refused(folder, {"reconstruct", folder / "absent.png", folder / "cut.png"}, {"2 of 2 pictures failed: ", "absent.png", "does not exist", "cut.png", "truncated"});
}

TEST_CASE("cli: masks, true depths and latents that do not fit") {
  TemporaryFolder folder;
  const std::string image = head("000_64.png");
  const std::string mask = object_mask(folder);
  write_png(folder / "oblong.png", plain_image(64, 128, 1, 255));
  refused(folder, {"reconstruct", image, "--mask", folder / "oblong.png"}, {"oblong.png", "128 x 64", "64 x 64", "another shape"});
  refused(folder, {"reconstruct", image, "--mask", head("000_128.png")}, {"000_128.png", "256 colours", "--mask"});
  refused(folder, {"reconstruct", image, "--mask", folder / "absent.png"}, {"absent.png", "--mask"});
  refused(folder, {"reconstruct", image, "--mask", folder.path()}, {"000_64.png", "does not exist", "--mask"});
  refused(folder, {"reconstruct", image, head("004_64.png"), "--mask", image}, {"--mask", "one file for 2 pictures"});
  write_png(folder / "black.png", plain_image(64, 64, 1, 0));
  refused(folder, {"reconstruct", image, "--mask", folder / "black.png"}, {"black.png", "empty", "--mask"});
  refused(folder, {"reconstruct", image, "--mask", mask, "--truth", head("000_128_depth.png")},
          {"000_128_depth.png", "128 x 128", "64 x 64"});
  refused(folder, {"reconstruct", image, "--mask", mask, "--truth", image}, {"000_64.png", "16-bit"});
  auto latent = [&](const Tensor& x, const std::vector<std::string>& parts) {
    write_npy(folder / "latent.npy", x);
    refused(folder, {"reconstruct", image, "--mask", mask, "--latent", folder / "latent.npy"}, parts);
  };
  latent(Tensor::zeros({511}), {"latent.npy", "[511]", "[512]"});
  latent(Tensor::zeros({1, 9, 512}), {"latent.npy", "[1,9,512]", "[N,10,512]"});
  latent(Tensor::zeros({2, 512}), {"latent.npy", "2 latents for 1 picture"});
  latent(Tensor::full({512}, std::numeric_limits<double>::infinity()), {"latent.npy", "not finite"});
  latent(Tensor::zeros({512}, DType::i32), {"latent.npy", "floating point"});
  refused(folder, {"reconstruct", image, "--latent", image}, {"000_64.png", "is a picture, not a latent", ".npy"});
  refused(folder, {"generate", "--latent", folder / "absent.npy"}, {"absent.npy", "No such file"});
}

TEST_CASE("cli: weights that are missing or damaged") {
  TemporaryFolder folder;
  const std::string image = head("000_64.png");
  const std::vector<std::string> start = {"reconstruct", image, "--mask", object_mask(folder), "--weights"};
  auto with = [&](const std::string& weights) {
    std::vector<std::string> arguments = start;
    arguments.push_back(weights);
    return arguments;
  };
  refused(folder, with(folder / "absent"), {"absent", "does not exist", "--weights"});
  const std::string lonely = weights_folder(folder, "lonely");
  fs::remove(lonely + "/stylegan2_d.safetensors");
  refused(folder, with(lonely), {"stylegan2_d.safetensors", "is missing"});
  fs::remove(lonely + "/stylegan2_g.safetensors");
  refused(folder, {"generate", "--preset", "car", "--weights", lonely}, {lonely, "stylegan2_g.safetensors", "'car'"});
  const std::string cut = weights_folder(folder, "cut");
  fs::resize_file(cut + "/stylegan2_g.safetensors", fs::file_size(cut + "/stylegan2_g.safetensors") / 2);
  refused(folder, with(cut), {"cut/stylegan2_g.safetensors", "tensor ", "truncated"});
  fs::resize_file(cut + "/stylegan2_g.safetensors", 5);
  refused(folder, with(cut), {"cut/stylegan2_g.safetensors"});
  const std::string absent = weights_folder(folder, "holes");
  rewrite(absent + "/stylegan2_g.safetensors", "convs.3.conv.weight", Tensor());
  refused(folder, with(absent), {"holes/stylegan2_g.safetensors", "tensor convs.3.conv.weight"});
  const std::string shape = weights_folder(folder, "shape");
  rewrite(shape + "/stylegan2_d.safetensors", "convs.2.conv1.0.weight", Tensor::zeros({3, 3, 3, 3}));
  refused(folder, with(shape), {"shape/stylegan2_d.safetensors", "tensor convs.2.conv1.0.weight", "[3,3,3,3]"});
  const std::string lpips = weights_folder(folder, "lpips");
  write(lpips + "/lpips_vgg.safetensors", "not weights");
  refused(folder, with(lpips), {"lpips/lpips_vgg.safetensors"});
}

TEST_CASE("cli: a depth prior that does not fit") {
  TemporaryFolder folder;
  const std::string image = head("000_64.png");
  write_safetensors(folder / "depth_prior.safetensors", {{"netD.network.0.weight", Tensor::zeros({4, 3, 4, 4})}});
  refused(folder, {"reconstruct", image, "--weights", folder.path()}, {"depth_prior.safetensors", "netD.network.0.weight"});
  write(folder / "depth_prior.safetensors", read_file(source_path("assets/depth_prior.safetensors")).substr(0, 5000));
  refused(folder, {"reconstruct", image, "--weights", folder.path()}, {"depth_prior.safetensors", "truncated"});
  refused(folder, {"prior", "--count", "0"}, {"--count", "0"}, 2);
  refused(folder, {"prior", "--preset", "ffhq", "--count", "99"}, {"--count", "99 is fewer than the 100 that are needed"});
  refused(folder, {"prior", "--preset", "ffhq", "--iterations", "5"}, {"--iterations", "'ffhq' has no ellipsoids"});
  refused(folder, {"prior", "--preset", "ffhq"}, {"--weights", "'ffhq'", "stylegan2_g.safetensors"});
  refused(folder, {"prior", "--preset", "face"}, {"--weights", "'face'", "stylegan2_g.safetensors"});
}

TEST_CASE("cli: output folders that cannot be written") {
  TemporaryFolder folder;
  write(folder / "file", "mine");
  for (const std::string& out : {folder / "file", folder / "file/below", std::string("/proc/gan2shape")}) {
    for (const char* command : {"reconstruct", "generate"}) {
      std::vector<std::string> arguments = {command, "--out", out};
      if (std::string(command) == "reconstruct") arguments.insert(arguments.end(), {head("000_64.png"), "--mask", object_mask(folder)});
      const Outcome outcome = run_program(arguments);
      INFO(outcome.err);
      CHECK(outcome.code == 1);
      CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
      CHECK(outcome.err.find(out.substr(0, 5)) != std::string::npos);
    }
  }
  CHECK(read_file(folder / "file") == "mine");
  const Outcome trace = run_program({"trace", folder / "absent.json", "--out", folder / "file/x.safetensors"});
  CHECK(trace.code == 1);
}

TEST_CASE("cli: a full disk keeps what was there") {
  TemporaryFolder folder;
  const std::string out = folder / "out";
  REQUIRE(run_program({"generate", "--count", "2", "--raw", "--out", out}).code == 0);
  const auto before = file_hashes(out);
  const Outcome full = run_program({"generate", "--count", "20", "--raw", "--force", "--out", out}, {.file_limit = 100000});
  INFO(full.err);
  CHECK(full.code == 1);
  CHECK(full.err.find("images.npy: cannot be written") != std::string::npos);
  CHECK(file_hashes(out) == before);
  CHECK(entries(out) == std::vector<std::string>{"images.npy", "latents.npy"});
}

TEST_CASE("cli: evaluate and trace without what they need") {
  TemporaryFolder folder;
  auto fails = [](const std::vector<std::string>& arguments, const std::vector<std::string>& parts) {
    const Outcome outcome = run_program(arguments);
    INFO(outcome.err);
    CHECK(outcome.code == 1);
    CHECK(outcome.out.empty());
    for (const std::string& part : parts) CHECK(outcome.err.find(part) != std::string::npos);
  };
  fails({"evaluate", folder / "absent", "--truth", folder.path()}, {"absent", "does not exist"});
  fails({"evaluate", folder.path(), "--truth", folder.path()}, {folder.path(), "no finished reconstruction"});
  fails({"evaluate", folder.path(), "--truth", folder / "absent"}, {"absent", "--truth"});
  make_folders(folder / "x");
  write(folder / "x/result.json", "{");
  write_png(folder / "x_depth.png", Tensor::full({64, 64, 1}, 5, DType::i32));
  fails({"evaluate", folder.path(), "--truth", folder.path()}, {"x/result.json", "not JSON"});
  fails({"trace", folder / "absent.json", "--out", folder / "t.safetensors"}, {"absent.json"});
  write(folder / "odd.json", "{\"kind\": \"steps\"}");
  fails({"trace", folder / "odd.json", "--out", folder / "t.safetensors"}, {"odd.json", "missing"});
  CHECK_FALSE(fs::exists(folder / "t.safetensors"));
}
