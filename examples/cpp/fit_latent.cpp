// Looks for the latent whose picture is most like a given one: what is called projection, or inversion, of a GAN.
// usage: fit_latent PICTURE OUT.png [ITERATIONS]
#include <cstdlib>
#include <iostream>
#include <string>

#include "engine/autograd.h"
#include "engine/image.h"
#include "engine/safetensors.h"
#include "kernels/adam/adam.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/random/random.h"
#include "kernels/reduce/reduce.h"
#include "models/gan2shape/weights.h"
#include "models/lpips.h"
#include "models/stylegan2_generator.h"

using namespace g2s;

namespace {

void fit(const std::string& path, const std::string& out, int iterations) {
  // The networks that come with the library. They are frozen: no gradient is computed for their weights.
  const std::string assets = assets_folder(default_asset_places());
  const StyleGan2Generator generator = StyleGan2Generator::load(SafetensorsFile(assets + "/stylegan2_g.safetensors"));
  const Lpips lpips(SafetensorsFile(assets + "/lpips_vgg.safetensors"));

  // Images are [1,H,W,3] in [-1,1].
  const int size = generator.config().size;
  const Tensor target = pixels_to_image(resize_pixels(read_image(path).rgb, size, size));
  const Lpips::Features wanted = lpips.features(target);

  Random random(0);
  Tensor w = generator.mean_latent(random);  // begin in the middle
  w.set_requires_grad();
  Adam adam({w}, {.lr = 0.05});
  for (int i = 0; i < iterations; ++i) {
    // What operators compute from w is recorded, and grad() walks back through it.
    const Tensor picture = generator.synthesis(w);
    const Tensor loss = sum(lpips.distance(lpips.features(picture), wanted)) + mean(square(picture - target));
    adam.step(grad({loss}, {w}));
    if (i % 10 == 0 || i + 1 == iterations) std::cout << "iteration " << i << ": loss " << loss.item() << std::endl;
  }
  const NoGrad nothing_recorded;
  write_png(out, image_to_pixels(generator.synthesis(w)));
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 3) return std::cerr << "usage: " << argv[0] << " PICTURE OUT.png [ITERATIONS]\n", 2;
  fit(argv[1], argv[2], argc > 3 ? std::atoi(argv[3]) : 100);
  return 0;
} catch (const Error& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
