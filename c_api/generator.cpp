// Generators of images.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>

#include "c_api/arrays.h"
#include "c_api/call.h"
#include "c_api/context.h"
#include "engine/autograd.h"
#include "kernels/elementwise/elementwise.h"
#include "models/generator.h"

namespace g2s::capi {
namespace {

struct GeneratorObject {
  using Handle = g2s_generator;
  static constexpr Kind kind = Kind::generator;

  std::shared_ptr<ContextObject> context;
  std::unique_ptr<Generator> generator;

  std::int64_t latent() const { return generator->style_dim(); }
  std::int64_t latents() const { return generator->latents(); }
  Shape picture_shape(std::int64_t batch) const { return {batch, generator->size(), generator->size(), 3}; }
};

// Samples that are mapped at once.
constexpr std::int64_t mapped_at_once = 65536;

template <class Work>
g2s_status call_generator(g2s_generator generator, Work&& work) {
  return call_network<GeneratorObject>(generator, "generator", work);
}

void fill_info(const GeneratorObject& object, g2s_generator_info& to) {
  constexpr std::size_t first_size = offsetof(g2s_generator_info, latents) + sizeof to.latents;
  const std::size_t size = to.struct_size;
  if (size < first_size) fail(Errc::invalid_argument, "info", "struct_size is ", size, "; it should be sizeof(g2s_generator_info)");
  const g2s_generator_info info{to.struct_size, object.generator->size(), static_cast<int32_t>(object.latent()),
                                static_cast<int32_t>(object.latents())};
  std::memcpy(&to, &info, std::min(size, sizeof info));
}

void require_latent(const GeneratorObject& object, const Array& w) {
  const std::int64_t dim = object.latent(), count = object.latents();
  const bool one = w.rank() == 2 && w.dim(1) == dim, all = w.rank() == 3 && w.dim(1) == count && w.dim(2) == dim;
  w.require(one || all, str("[B,", dim, "] or [B,", count, ",", dim, "]"));
}

void map(const GeneratorObject& object, const g2s_array* z_array, const g2s_array* w_array) {
  const Array z = Array::readable(z_array, "z"), w = Array::writable(w_array, "w");
  z.require(z.rank() == 2 && z.dim(1) == object.latent(), str("[B,", object.latent(), "]"));
  w.require_shape(z.shape());
  if (z.empty()) return;
  const NoGrad no_grad;
  w.write(object.generator->mapping(z.read()));
}

void mean_latent(const GeneratorObject& object, std::uint64_t seed, std::int64_t samples, const g2s_array* w_array) {
  const Array w = Array::writable(w_array, "w");
  const std::int64_t dim = object.latent();
  if (samples < 1) fail(Errc::invalid_argument, "samples", samples, " is less than 1");
  w.require(w.shape() == Shape{dim} || w.shape() == Shape{1, dim}, str("[", dim, "] or [1,", dim, "]"));
  const NoGrad no_grad;
  Random random(seed, "mean_latent");
  Tensor mean;
  for (std::int64_t done = 0; done < samples;) {
    check_cancelled("mean_latent");
    const std::int64_t count = std::min(mapped_at_once, samples - done);
    const Tensor part = object.generator->mean_latent(random, count);
    done += count;
    mean = mean ? mean + (part - mean) * (static_cast<double>(count) / static_cast<double>(done)) : part;
  }
  w.write(mean.reshape(w.shape()));
}

// The picture as it is given, with its batch.
Array writable_picture(const GeneratorObject& object, const g2s_array* array, std::int64_t batch) {
  Array picture = Array::writable(array, "picture", Content::image);
  picture.with_batch().require_shape(object.picture_shape(batch));
  return picture;
}

void draw(const GeneratorObject& object, const g2s_array* w_array, const g2s_array* picture_array) {
  const Array w = Array::readable(w_array, "w");
  require_latent(object, w);
  const Array picture = writable_picture(object, picture_array, w.dim(0));
  if (w.empty()) return;
  const NoGrad no_grad;
  picture.write(object.generator->synthesis(w.read()));
}

void vjp(const GeneratorObject& object, const g2s_array* w_array, const g2s_array* dpicture_array, const g2s_array* picture_array,
         const g2s_array* dw_array) {
  const Array w = Array::readable(w_array, "w"), dw = Array::writable(dw_array, "dw");
  Array dpicture = Array::readable(dpicture_array, "dpicture");
  require_latent(object, w);
  dw.require_shape(w.shape());
  dpicture.with_batch().require_shape(object.picture_shape(w.dim(0)));
  std::optional<Array> drawn;
  if (picture_array) drawn = writable_picture(object, picture_array, w.dim(0));
  if (w.empty()) return;
  const Generator::ImageGradient made = object.generator->synthesis_vjp(w.read(), dpicture.read());
  if (drawn) drawn->write(made.image);
  dw.write(made.dw);
}

}  // namespace
}  // namespace g2s::capi

using namespace g2s;
using namespace g2s::capi;

g2s_status g2s_generator_load(g2s_context context, const char* path, g2s_generator* generator) {
  return load_network<GeneratorObject>(context, path, "stylegan2_g.safetensors", generator, "generator",
                                       [](const SafetensorsFile& file) { return load_generator(file); });
}

g2s_status g2s_generator_free(g2s_generator generator) {
  return call([&] { free_handle<GeneratorObject>(generator, "generator"); });
}

g2s_status g2s_generator_get_info(g2s_generator generator, g2s_generator_info* info) {
  return call([&] { fill_info(*find<GeneratorObject>(generator, "generator"), required(info, "info")); });
}

g2s_status g2s_generator_mapping(g2s_generator generator, const g2s_array* z, const g2s_array* w) {
  return call_generator(generator, [&](const GeneratorObject& object) { map(object, z, w); });
}

g2s_status g2s_generator_mean_latent(g2s_generator generator, uint64_t seed, int64_t samples, const g2s_array* w) {
  return call_generator(generator, [&](const GeneratorObject& object) { mean_latent(object, seed, samples, w); });
}

g2s_status g2s_generator_picture(g2s_generator generator, const g2s_array* w, const g2s_array* picture) {
  return call_generator(generator, [&](const GeneratorObject& object) { draw(object, w, picture); });
}

g2s_status g2s_generator_vjp(g2s_generator generator, const g2s_array* w, const g2s_array* dpicture, const g2s_array* picture,
                             const g2s_array* dw) {
  return call_generator(generator, [&](const GeneratorObject& object) { vjp(object, w, dpicture, picture, dw); });
}
