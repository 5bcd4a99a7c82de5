// Latents as this program and other tools save them (tests/fixtures/make_latents.py): six styles of four numbers that count from 0.
#include "weights_converter/latents.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "engine/npy.h"
#include "engine/safetensors.h"
#include "tests/convert/fixtures.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

const ::g2s::convert::LatentSpace space = {4, 6};

struct Files {
  TemporaryFolder folder;
  std::vector<std::string> paths = unpacked_archive(folder, "latents.zip");
  std::string operator[](const std::string& name) const { return folder / name; }
  ::g2s::convert::StoredLatents read(const std::string& name, std::int64_t wanted = 1) const {
    return ::g2s::convert::read_latents(folder / name, space, wanted);
  }
  std::string error(const std::string& name, std::int64_t wanted = 1) const {
    try {
      read(name, wanted);
    } catch (const Error& e) {
      CHECK(e.op() == folder / name);
      return e.message();
    }
    return "no error";
  }
};

// The shape, and the first and the last number.
std::string seen(const Tensor& x) { return str(x.shape(), " ", x.data<float>()[0], " ", x.data<float>()[x.numel() - 1]); }

bool says(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("latents: files of every tool are read") {
  const Files files;
  CHECK(seen(files.read("gan2shape.pt").latents) == "[1,4] 0 3");
  CHECK(seen(files.read("e4e.pt", 2).latents) == "[2,6,4] 0 123");
  for (const char* one : {"projected_w.npz", "half.npy", "fortran.npy", "double.npy", "rank2.npy", "rank2.pt", "batch_of_one.pt"}) {
    CAPTURE(one);
    CHECK(seen(files.read(one).latents) == "[1,6,4] 0 23");
    CHECK(files.read(one).latents.data<float>()[9] == 9);
  }
  CHECK(seen(files.read("several_w.npy", 6).latents) == "[6,4] 0 23");
}

TEST_CASE("latents: those stored under the names of pictures are found by them") {
  const Files files;
  for (const char* name : {"rosinality.pt", "psp.npy"}) {
    CAPTURE(name);
    const auto stored = files.read(name, 2);
    CHECK(seen(stored.latents) == "[2,6,4] 0 123");
    CHECK(stored.of("a") == 0);
    CHECK(stored.of("b") == 1);
    CHECK(stored.of("c") == -1);
    CHECK(seen(stored.at(1)) == "[1,6,4] 100 123");
  }
  CHECK(files.read("rosinality.pt", 2).notes.size() == 1);  // its noise maps
  CHECK(files.read("psp.npy", 2).notes.empty());
}

TEST_CASE("latents: as many rows as the generator has styles are one code for one picture, and a question for several") {
  const Files files;
  CHECK(files.read("rank2.npy", 1).count() == 1);
  CHECK(files.read("rank2.npy", 0).count() == 1);
  for (std::int64_t wanted : {2, 6})
    CHECK(says(files.error("rank2.npy", wanted), "one code in W+, or 6 in W? Save it as [1,6,4] or [6,1,4]"));
}

TEST_CASE("latents: what is none is refused by what it is") {
  const Files files;
  CHECK(says(files.error("integers.npy"), "i64, not floating point"));
  CHECK(says(files.error("infinite.npy"), "not finite"));
  CHECK(says(files.error("z.npz"), "what the mapping takes"));
  CHECK(says(files.error("two.npz"), "several tensors that may be latents (a, b)"));
  CHECK(says(files.error("wide.npy"), "[2,5]; the generator takes [4], [N,4] or [N,6,4]"));
  for (const Shape& shape : {Shape{5}, Shape{3, 5}, Shape{3, 5, 4}, Shape{2, 3, 6, 4}, Shape{0, 4}, Shape{}}) {
    CAPTURE(shape);
    write_npy(files["bad.npy"], Tensor::zeros(shape));
    CHECK(files.error("bad.npy") != "no error");
  }
  write_npy(files["good.npy"], Tensor::zeros({3, 6, 4}, DType::f64));
  CHECK(files.read("good.npy", 3).latents.dtype() == DType::f32);
  write_safetensors(files["one.safetensors"], {{"w", Tensor::zeros({4})}});
  CHECK(seen(files.read("one.safetensors").latents) == "[1,4] 0 0");
}

TEST_CASE("generate: a code in W+ of another tool is one picture") {
  const TemporaryFolder folder;
  write_npy(folder / "rank2.npy", Tensor::zeros({10, 512}));
  const Outcome drawn = run_program({"generate", "--latent", folder / "rank2.npy", "--json", "--out", folder / "out"});
  INFO(drawn.err);
  REQUIRE(drawn.code == 0);
  CHECK(nlohmann::json::parse(drawn.out).at("pictures") == 1);
  const Outcome ten = run_program({"generate", "--latent", folder / "rank2.npy", "--count", "10", "--out", folder / "ten"});
  CHECK(ten.code == 1);
  CHECK(ten.err.find("[10,1,512]") != std::string::npos);
}

TEST_CASE("reconstruct: latents stored under the names of pictures go to them, and one that is missing is named") {
  const TemporaryFolder folder;
  const Tensor a = Tensor::full({1, 512}, 0.5f), b = Tensor::full({1, 512}, -0.5f);
  write_safetensors(folder / "l.safetensors", {{"/x/004_64.png.latent", b}, {"/x/000_64.png.latent", a}});
  const std::vector<std::string> pictures = {source_path("assets/heads/000_64.png"), source_path("assets/heads/004_64.png")};
  const Outcome fit = run_program({"reconstruct", pictures[0], pictures[1], "--latent", folder / "l.safetensors", "--quality", "draft",
                                   "--scale", "0.001", "--out", folder / "out"});
  INFO(fit.err);
  REQUIRE(fit.code == 0);
  CHECK(SafetensorsFile(folder / "out/000_64/latent.safetensors").get("latent").data<float>()[0] == 0.5f);
  CHECK(SafetensorsFile(folder / "out/004_64/latent.safetensors").get("latent").data<float>()[0] == -0.5f);
  const Outcome other =
      run_program({"reconstruct", source_path("assets/heads/008_64.png"), "--latent", folder / "l.safetensors", "--out", folder / "no"});
  CHECK(other.code == 1);
  CHECK(other.err.find("none under the name 008_64") != std::string::npos);
}
