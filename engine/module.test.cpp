#include "engine/module.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "engine/files.h"

using namespace g2s;

namespace {

Tensor iota(const Shape& shape) {
  Tensor t = Tensor::empty(shape);
  for (std::int64_t i = 0; i < t.numel(); ++i) t.mutable_data<float>()[i] = static_cast<float>(i);
  return t;
}

}  // namespace

TEST_CASE("module: checkpoint layouts") {
  // [O,I,kh,kw] with every size different: element (o,i,u,v) must arrive at (o,u,v,i).
  Tensor stored = iota({2, 3, 4, 5}), ours = from_checkpoint(stored, ParameterKind::conv);
  CHECK(ours.shape() == Shape{2, 4, 5, 3});
  const float *x = stored.data<float>(), *y = ours.data<float>();
  for (int o = 0; o < 2; ++o)
    for (int i = 0; i < 3; ++i)
      for (int u = 0; u < 4; ++u)
        for (int v = 0; v < 5; ++v) CHECK(y[((o * 4 + u) * 5 + v) * 3 + i] == x[((o * 3 + i) * 4 + u) * 5 + v]);
  CHECK(checkpoint_shape(ours.shape(), ParameterKind::conv) == stored.shape());
  CHECK(to_checkpoint(ours, ParameterKind::conv).to_vector<float>() == stored.to_vector<float>());

  Tensor modulated = from_checkpoint(stored.reshape({1, 2, 3, 4, 5}), ParameterKind::conv);
  CHECK(modulated.shape() == Shape{1, 2, 4, 5, 3});
  CHECK(modulated.to_vector<float>() == ours.to_vector<float>());
  CHECK(to_checkpoint(modulated, ParameterKind::conv).shape() == Shape{1, 2, 3, 4, 5});

  Tensor map = from_checkpoint(iota({1, 2, 2, 3}), ParameterKind::map);
  CHECK(map.shape() == Shape{1, 2, 3, 2});
  CHECK(map.to_vector<float>() == std::vector<float>{0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11});
  CHECK(from_checkpoint(iota({3, 7}), ParameterKind::plain).to_vector<float>() == iota({3, 7}).to_vector<float>());
  CHECK(from_checkpoint(iota({3, 7}).to(DType::f16), ParameterKind::plain).dtype() == DType::f32);
  CHECK(from_checkpoint(stored.to(DType::bf16), ParameterKind::conv).to_vector<float>() == ours.to_vector<float>());
  CHECK(from_checkpoint(stored.to(DType::f64), ParameterKind::conv).to_vector<float>() == ours.to_vector<float>());
  CHECK_THROWS_AS(from_checkpoint(iota({3, 7}), ParameterKind::conv), Error);
  CHECK_THROWS_AS(from_checkpoint(iota({1, 2, 3, 4, 5}), ParameterKind::map), Error);
}

TEST_CASE("module: parameters by name, frozen, trainable, converted, saved and loaded") {
  ParameterMap map;
  map.add("b.weight", ParameterKind::conv, iota({2, 3, 3, 4}));
  map.add("a.bias", ParameterKind::plain, iota({5}));
  CHECK(map.all()[0].name == "b.weight");
  CHECK(map.contains("a.bias"));
  CHECK_FALSE(map.contains("a"));
  CHECK_THROWS_WITH_AS(map["none"], doctest::Contains("none"), Error);
  CHECK_THROWS_AS(map.add("a.bias", ParameterKind::plain, iota({5})), Error);
  CHECK_THROWS_AS(map.add("c", ParameterKind::conv, iota({5})), Error);
  map.set_trainable(true);
  CHECK(map["a.bias"].requires_grad());
  CHECK_FALSE(map["a.bias"].is_constant());
  map.set_trainable(false);
  CHECK_FALSE(map["a.bias"].requires_grad());
  CHECK(map["a.bias"].is_constant());
  ParameterMap wide = map.to(DType::f64);
  CHECK(wide["a.bias"].dtype() == DType::f64);
  CHECK_FALSE(wide["a.bias"].is_constant());

  std::string path = temporary_name((std::filesystem::temp_directory_path() / "g2s_module").string());
  write_safetensors(path, map.to_checkpoint("netA."));
  SafetensorsFile file(path);
  CHECK(file.get("netA.b.weight").shape() == Shape{2, 4, 3, 3});
  ParameterMap other;
  other.add("b.weight", ParameterKind::conv, Tensor::zeros({2, 3, 3, 4}));
  other.add("a.bias", ParameterKind::plain, Tensor::zeros({5}));
  other.set_trainable(true);
  Tensor handle = other["a.bias"];
  other.load(file, "netA.");
  CHECK(handle.to_vector<float>() == iota({5}).to_vector<float>());
  CHECK(other["b.weight"].to_vector<float>() == iota({2, 3, 3, 4}).to_vector<float>());
  CHECK(other["b.weight"].requires_grad());
  other.set_trainable(false);
  other.load(file, "netA.");
  CHECK(other["a.bias"].is_constant());
  CHECK_THROWS_WITH_AS(other.load(file), doctest::Contains("tensor b.weight is missing"), Error);
  ParameterMap wrong;
  wrong.add("a.bias", ParameterKind::plain, Tensor::zeros({6}));
  CHECK_THROWS_WITH_AS(wrong.load(file, "netA."), doctest::Contains("tensor netA.a.bias has shape [5], expected [6]"), Error);
  CHECK(wrong["a.bias"].to_vector<float>() == std::vector<float>(6, 0.f));
  std::filesystem::remove(path);
}
