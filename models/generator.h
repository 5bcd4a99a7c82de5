// What the method asks of a generator of images: latents from samples, images from latents.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/export.h"
#include "engine/safetensors.h"
#include "engine/tensor.h"
#include "kernels/random/random.h"

namespace g2s G2S_EXPORTED {

// What a frozen network takes.
struct NetworkMemory {
  double weight_bytes = 0;      // as they are in the file, in f32
  double activation_bytes = 0;  // of one image, each layer's output once
};

class Generator {
 public:
  virtual ~Generator() = default;

  virtual int size() const = 0;                // of its images, pixels
  virtual std::int64_t style_dim() const = 0;  // of a latent
  virtual int latents() const = 0;             // of W+
  virtual int mapping_layers() const = 0;
  virtual NetworkMemory memory() const = 0;
  virtual const char* name() const = 0;  // in errors
  // The mean that came with the weights, [1,style_dim]; undefined if none did.
  virtual const Tensor& latent_avg() const = 0;

  // z [B,style_dim] -> w [B,style_dim].
  Tensor mapping(const Tensor& z) const { return mapping_range(z, 0, mapping_modules()); }
  // Modules first .. last-1 of the mapping's list: 0 is the pixel norm z / sqrt(mean(z^2) + 1e-8), k the k-th linear layer with its
  // leaky ReLU of slope 0.2 and gain sqrt 2.
  Tensor mapping_range(const Tensor& x, int first, int last) const;
  int mapping_modules() const { return mapping_layers() + 1; }
  // Mean of the mapped samples z [N,style_dim]: [1,style_dim].
  Tensor mean_latent(const Tensor& z) const;
  Tensor mean_latent(Random& random, std::int64_t samples = 4096) const;
  // mean + psi (w - mean), for W and W+.
  static Tensor truncate(const Tensor& w, const Tensor& mean, double psi);

  // w [B,style_dim], or one latent per layer [B,latents,style_dim] -> image [B,size,size,3], about -1 to 1 and not clamped, with the
  // stored noise. Gradients to w and, if trainable, to the parameters.
  Tensor synthesis(const Tensor& w) const;

  struct ImageGradient {
    Tensor image, dw;
  };
  // The image for w, and the vector-Jacobian product of its gradient: dimage [B,size,size,3] -> dw, of w's shape.
  ImageGradient synthesis_vjp(const Tensor& w, const Tensor& dimage) const;

 protected:
  Generator() = default;
  Generator(const Generator&) = default;
  Generator(Generator&&) = default;
  Generator& operator=(const Generator&) = default;
  Generator& operator=(Generator&&) = default;

  // Weight [style_dim,style_dim] and bias [style_dim] of the k-th linear layer, k from 1.
  virtual std::pair<Tensor, Tensor> mapping_layer(int k) const = 0;
  // One latent [B,style_dim] for each of latents().
  virtual Tensor draw(const std::vector<Tensor>& latents) const = 0;
};

// Of the kind that the file's tensors show: StyleGAN2 or MobileStyleGAN. Throws naming the file, and the tensor where one is absent or of
// another shape.
std::unique_ptr<Generator> load_generator(const SafetensorsFile& file, const std::string& prefix = "");

}  // namespace g2s
