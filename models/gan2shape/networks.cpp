#include "models/gan2shape/networks.h"

namespace g2s {
namespace {

LayerNetConfig shape(const Config& c, int cout, int nf, OutputActivation activation) { return {3, cout, c.size, nf, c.zdim, c.gn_base, activation}; }

}  // namespace

Networks::Networks(const Config& c)
    : netD(shape(c, 1, c.nf, OutputActivation::none)),
      netA(shape(c, 3, c.nf, OutputActivation::tanh)),
      netV(shape(c, 6, c.nf, OutputActivation::tanh)),
      netL(shape(c, 4, c.nf, OutputActivation::tanh)),
      netEnc(shape(c, 512, c.enc_nf, OutputActivation::none)) {}

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
