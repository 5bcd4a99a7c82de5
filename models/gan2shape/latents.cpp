#include "models/gan2shape/latents.h"

#include <algorithm>
#include <cmath>

#include "engine/npy.h"
#include "engine/safetensors.h"
#include "kernels/shape/shape.h"

namespace g2s {
namespace {

Tensor read_any(const std::string& path, std::string& tensor) {
  if (path.ends_with(".npy")) return read_npy(path);
  if (!path.ends_with(".safetensors")) fail(Errc::invalid_argument, path, "latents are read from .npy and .safetensors files");
  SafetensorsFile file(path);
  if (file.contains("latent")) tensor = "latent";
  else if (file.entries().size() == 1) tensor = file.entries()[0].name;
  else fail(Errc::format, path, "has no tensor latent, and not just one tensor");
  return file.get(tensor);
}

}  // namespace

Tensor read_latents(const std::string& path, const Generator& generator) {
  std::string tensor;
  Tensor stored = read_any(path, tensor);
  const std::string what = tensor.empty() ? "the latent" : "tensor " + tensor;
  if (stored.dtype() == DType::i32 || stored.dtype() == DType::u8) fail(Errc::format, path, what, " is ", stored.dtype(), ", not floating point");
  const std::int64_t d = generator.style_dim(), l = generator.latents();
  const int r = stored.rank();
  const bool fits = r >= 1 && r <= 3 && stored.dim(-1) == d && (r < 3 || stored.dim(1) == l) && stored.numel() > 0;
  if (!fits) fail(Errc::format, path, what, " has shape ", stored.shape(), "; the generator takes [", d, "], [N,", d, "] or [N,", l, ",", d, "]");
  Tensor latents = stored.to(DType::f32).clone();
  const float* x = latents.data<float>();
  const bool finite = std::all_of(x, x + latents.numel(), [](float v) { return std::isfinite(v); });
  if (!finite) fail(Errc::format, path, what, " has values that are not finite");
  return latents;
}

std::int64_t latent_count(const Tensor& latents) { return latents.rank() == 1 ? 1 : latents.dim(0); }

Tensor latent_at(const Tensor& latents, std::int64_t i) {
  check(i >= 0 && i < latent_count(latents), "latent_at", "number ", i, " of ", describe(latents));
  return latents.rank() == 1 ? latents.reshape({1, latents.dim(0)}) : slice(latents, 0, i);
}

}  // namespace g2s
