#include "models/generator.h"

#include <doctest/doctest.h>

#include "models/mobilestylegan.h"
#include "models/stylegan2_generator.h"
#include "tests/cli/program.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

// Loads what was stored, with one tensor absent or of another shape: both name file and tensor.
void check_errors(const NamedTensors& stored, const std::string& name) {
  INFO(name);
  const TemporaryFolder folder;
  const std::string path = folder / "generator.safetensors";
  auto load = [&](const NamedTensors& tensors) {
    write_safetensors(path, tensors);
    return load_generator(SafetensorsFile(path));
  };
  CHECK(load(stored)->size() == 32);
  NamedTensors fewer, other;
  for (const auto& [kept, value] : stored) {
    if (kept != name) fewer.emplace_back(kept, value);
    other.emplace_back(kept, kept == name ? Tensor::zeros({3, 1, 7}) : value);
  }
  for (const NamedTensors& tensors : {fewer, other}) {
    std::string message;
    try {
      load(tensors);
    } catch (const Error& e) {
      message = e.what();
    }
    INFO(message);
    CHECK(message.find(path) == 0);
    CHECK(message.find(name) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("load_generator: a file of either kind says which tensor is absent or of another shape") {
  GeneratorConfig g;
  g.size = 32;
  g.style_dim = 8;
  g.mapping_layers = 2;
  g.channels = {8, 8, 4, 4};
  for (const char* name : {"style.2.bias", "conv1.conv.weight", "convs.3.conv.modulation.weight", "to_rgb1.bias"})
    check_errors(generator_parameters(g).to_checkpoint(), name);
  const MobileStyleGanConfig m{.style_dim = 8, .mapping_layers = 2, .first = 8, .channels = {8, 4}};
  for (const char* name : {"mapping.1.bias", "conv1.conv.weight", "layers.1.conv1.conv.weight_dw", "layers.1.to_img.bias"})
    check_errors(mobilestylegan_parameters(m).to_checkpoint(), name);
}

TEST_CASE("load_generator: a file of neither kind is refused by name") {
  const TemporaryFolder folder;
  const std::string path = folder / "other.safetensors";
  write_safetensors(path, {{"net.weight", Tensor::zeros({2})}});
  const std::string message = path + ": has neither StyleGAN2's tensors (style.1.weight, ..) nor MobileStyleGAN's (mapping.0.weight, ..)";
  CHECK_THROWS_WITH_AS(load_generator(SafetensorsFile(path)), message.c_str(), Error);
}
