#include "models/gan2shape/networks.h"

namespace g2s {
namespace {

EDDeconvConfig decoder(const Config& c, int cout, OutputActivation activation) {
  return {3, cout, c.size, c.nf, c.zdim, c.gn_base, activation};
}

EncoderConfig encoder(const Config& c, int cout) { return {3, cout, c.size, c.nf, OutputActivation::tanh}; }

}  // namespace

Networks::Networks(const Config& c)
    : netD(decoder(c, 1, OutputActivation::none)),
      netA(decoder(c, 3, OutputActivation::tanh)),
      netV(encoder(c, 6)),
      netL(encoder(c, 4)),
      netEnc(ResEncoderConfig{3, 512, c.size, c.enc_nf, OutputActivation::none}) {}

Networks::Networks(const Config& c, std::uint64_t seed) : Networks(c) {
  Random random(seed, "networks");
  for (auto& [name, net] : all()) net->initialize(random);
}

std::vector<std::pair<std::string, LayerNet*>> Networks::all() {
  return {{"netD", &netD}, {"netA", &netA}, {"netV", &netV}, {"netL", &netL}, {"netEnc", &netEnc}};
}

std::vector<std::pair<std::string, const LayerNet*>> Networks::all() const {
  return {{"netD", &netD}, {"netA", &netA}, {"netV", &netV}, {"netL", &netL}, {"netEnc", &netEnc}};
}

void Networks::set_trainable() {
  for (auto& [name, net] : all()) net->parameters().set_trainable(true);
}

NamedTensors Networks::to_checkpoint() const {
  NamedTensors out;
  for (const auto& [name, net] : all()) {
    for (auto& entry : net->parameters().to_checkpoint(name + ".")) out.push_back(std::move(entry));
  }
  return out;
}

void Networks::load(const SafetensorsFile& file) {
  for (auto& [name, net] : all()) net->load(file, name + ".");
}

}  // namespace g2s
