#include "models/gan2shape/trace.h"

#include <cmath>
#include <filesystem>
#include <functional>
#include <memory>

#include "engine/autograd.h"
#include "engine/files.h"
#include "engine/hashed_tensor.h"
#include "engine/image.h"
#include "engine/json_text.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/grid_sample/grid_sample.h"
#include "kernels/reduce/reduce.h"
#include "kernels/shape/shape.h"
#include "models/gan2shape/prior.h"
#include "models/gan2shape/steps.h"
#include "models/stylegan2_generator.h"
#include "models/gan2shape/trace_output.h"
#include "models/hashed_weights.h"

namespace g2s {
namespace {

using nlohmann::json;

// Undoes the rounding of value / 255 to f32.
Tensor exact_grey(const Tensor& grey) {
  std::vector<double> values;
  for (float v : grey.to_vector<float>()) values.push_back(std::round(v * 255.0) / 255.0);
  return Tensor::from(values, grey.shape(), Device{});
}

// The description and what it refers to.
struct Trace {
  json j;
  std::string origin;
  std::filesystem::path folder;
  DType dtype;
  Device device;
  Config config;

  const json& at(const char* name) const { return json_field(j, origin, name); }
  const json& at(const char* part, const char* name) const { return json_field(at(part), origin, name); }

  std::string file(const json& relative) const {
    if (!relative.is_string()) fail(Errc::format, origin, "expected a file name, found ", json_text(relative, -1));
    return (folder / relative.get<std::string>()).string();
  }
  Tensor sized(Tensor image, const std::string& path) const {
    const std::int64_t s = config.size;
    if (image.dim(1) != s || image.dim(2) != s) {
      fail(Errc::format, path, "is ", image.dim(2), " x ", image.dim(1), " pixels, expected ", s, " x ", s);
    }
    return image.to(dtype);
  }
  // value / 255 * 2 - 1, rounded once: in double the golden runs have it so, too.
  Tensor rgb(const json& name) const {
    const DefaultDevice host{Device{}};
    return sized(affine(read_image(file(name)).rgb.to(DType::f64), 2 / 255.0, -1), file(name)).to(device);
  }
  Tensor mask(const json& name) const {
    const DefaultDevice host{Device{}};
    return sized(exact_grey(read_grey(file(name))), file(name)).to(device);
  }

  // A matrix of numbers with the given number of columns.
  Tensor matrix(const json& rows, const char* what, std::size_t columns) const {
    std::vector<double> values;
    try {
      for (const auto& row : rows.get<std::vector<std::vector<double>>>()) {
        if (row.size() != columns) fail(Errc::format, origin, what, " has a row of ", row.size(), " numbers, expected ", columns);
        values.insert(values.end(), row.begin(), row.end());
      }
    } catch (const json::exception&) {
      fail(Errc::format, origin, what, " is not a list of rows of numbers");
    }
    const auto n = static_cast<std::int64_t>(values.size() / columns);
    return Tensor::from(values, {n, static_cast<std::int64_t>(columns)}, Device{}).to(dtype).to(device);
  }
};

Trace read_trace(const std::string& path, const TraceOptions& options) {
  Trace t{{}, path, std::filesystem::path(path).parent_path(), options.dtype, options.device, {}};
  try {
    t.j = json::parse(read_file(path));
  } catch (const json::exception& e) {
    fail(Errc::format, path, "is not JSON: ", e.what());
  }
  return t;
}

Tensor leaf(const Tensor& x) { return x.clone().set_requires_grad(); }

// ---- kind "steps"

struct Models {
  Networks networks;
  StyleGan2Generator generator;
  StyleGan2Discriminator discriminator;
  Lpips lpips;
};

std::vector<std::int64_t> channels(const Trace& t, int from, int to) {
  const json& table = t.at("gan", "channels");
  std::vector<std::int64_t> out;
  for (int size = from;; size = from < to ? size * 2 : size / 2) {
    out.push_back(json_field(table, t.origin, std::to_string(size).c_str()).get<std::int64_t>());
    if (size == to) return out;
  }
}

Networks hashed_networks(const Trace& t, const Config& config) {
  const DefaultDevice host{Device{}};
  Networks nets(config);
  for (auto& [name, net] : nets.all()) {
    fill_hashed(*net, name);
    net->convert(t.dtype);
    net->move_to(t.device);
  }
  nets.set_trainable();
  return nets;
}

Models make_models(const Trace& t, const TraceOptions& options) {
  const json& gan = t.at("gan");
  const int size = t.config.gan_size;
  GeneratorConfig g;
  g.size = size;
  g.style_dim = json_field(gan, t.origin, "style_dim").get<std::int64_t>();
  g.mapping_layers = json_field(gan, t.origin, "mapping_layers").get<int>();
  g.channels = channels(t, 4, size);
  if (json_field(gan, t.origin, "n_latent").get<int>() != g.latents()) {
    fail(Errc::format, t.origin, "n_latent does not belong to a generator of size ", size, ", which has ", g.latents());
  }
  DiscriminatorConfig d;
  d.size = size;
  d.channels = channels(t, size, 4);
  ParameterMap of_g, of_d;
  {
    const DefaultDevice host{Device{}};
    of_g = generator_parameters(g), of_d = discriminator_parameters(d);
    fill_hashed_generator(of_g, json_field(gan, t.origin, "to_rgb_scale").get<double>());
    fill_hashed_discriminator(of_d);
    of_g = of_g.to(t.dtype).to(t.device), of_d = of_d.to(t.dtype).to(t.device);
  }
  return {hashed_networks(t, t.config), StyleGan2Generator(g, of_g), StyleGan2Discriminator(d, of_d),
          Lpips(SafetensorsFile(options.lpips), t.dtype)};
}

Target make_target(const Trace& t, const Models& m, TraceOutput& out) {
  Target target;
  target.image = t.rgb(t.at("image"));
  if (!t.at("mask").is_null()) target.mask = t.mask(t.at("mask"));
  if (t.config.use_mask && !target.mask) fail(Errc::format, t.origin, "use_mask is true, but there is no mask");
  target.original_size = t.at("original_size").get<int>();
  const json& gan = t.at("gan");
  Shape shape(json_field(gan, t.origin, "latent_shape").get<std::vector<std::int64_t>>());
  const std::string latent = json_field(gan, t.origin, "latent").get<std::string>();
  auto on_device = [&](const Tensor& x) { return x.to(DType::f32).to(t.dtype).to(t.device); };
  target.latent = on_device(hashed_tensor(latent, shape) * 0.5);
  const std::int64_t dim = m.generator.config().style_dim;
  target.mean_latent = m.generator.mean_latent(on_device(hashed_tensor("mean_latent_z", {4096, dim}) * std::sqrt(3.0)));
  out.vector("G/vector/mean_latent", target.mean_latent);
  out.image("input/image/image", target.image);
  return target;
}

void trace_generator(const Method& c, Target& target, TraceOutput& out) {
  prepare_target(c, target);
  out.vector("G/vector/center_w", target.center_w);
  out.vector("G/vector/center_h", target.center_h);
  out.image("G/image/gan_im", target.gan_image);
  Tensor w = leaf(target.latent), y = generate(c, target, w);
  out.image("G/image/raw", y);
  out.vector("G/vector/grad_w", grad({sum(y * dot_image("G/raw", y))}, {w})[0]);
}

void trace_discriminator(const Method& c, const Target& target, TraceOutput& out) {
  Tensor x = leaf(target.image), total;
  auto features = c.discriminator->features(x, 4);
  for (std::size_t i = 0; i < features.size(); ++i) {
    const std::string name = str("D/feature", i);
    out.summary(str("D/six/feature", i), name, nhwc_to_nchw(features[i].detach()));
    Tensor term = mean(features[i] * dot_image(name, features[i]));
    total = total ? total + term : term;
  }
  out.image("D/image/grad_image", grad({total}, {x})[0]);
}

void trace_lpips(const Method& c, const Target& target, const Tensor& other, TraceOutput& out) {
  Tensor x = leaf(target.image), d = sum(c.lpips.distance(x, other));
  out.loss("lpips/loss/distance", d);
  out.image("lpips/image/grad_image", grad({d}, {x})[0]);
}

// The renderer without networks, on a depth given by a formula.
void trace_renderer(const Trace& t, const Renderer& renderer, const Target& target, TraceOutput& out) {
  const std::int64_t s = t.config.size;
  std::vector<double> values(static_cast<std::size_t>(s * s));
  for (std::int64_t y = 0; y < s; ++y) {
    for (std::int64_t x = 0; x < s; ++x) {
      const double u = x / (s - 1.0), v = y / (s - 1.0);
      values[static_cast<std::size_t>(y * s + x)] = 1 + 0.06 * std::sin(3.1 * u + 0.4) * std::cos(2.7 * v - 0.3) - 0.03 * std::sin(7 * u * v + 1);
    }
  }
  Tensor depth = leaf(Tensor::from(values, {1, s, s, 1}).to(t.dtype)), image = leaf(target.image);
  Tensor view = leaf(t.matrix(t.at("ops", "views"), "ops.views", 6));
  const Warp w = warp(renderer, depth, view);
  Tensor recon = grid_sample(image, w.grid), normal = renderer.normals(depth);
  out.image("ops/image/depth", depth);
  out.image("ops/image/warped_depth", w.depth);
  out.image("ops/image/valid", w.valid);
  out.image("ops/image/grid", w.grid);
  out.image("ops/image/forward_grid", renderer.forward_grid(depth, renderer.pose(view)));
  out.image("ops/image/recon", recon);
  out.image("ops/image/normal", normal);
  GradOptions keep;
  keep.retain_graph = true;
  auto g = grad({sum(w.depth * dot_image("ops/warped_depth", w.depth))}, {depth, view}, {}, keep);
  out.image("ops/image/grad_warped_depth_depth", g[0]);
  out.vector("ops/vector/grad_warped_depth_view", g[1]);
  g = grad({sum(recon * dot_image("ops/recon", recon))}, {depth, view, image}, {}, keep);
  out.image("ops/image/grad_recon_depth", g[0]);
  out.vector("ops/vector/grad_recon_view", g[1]);
  out.image("ops/image/grad_recon_image", g[2]);
  out.image("ops/image/grad_normal_depth", grad({sum(normal * dot_image("ops/normal", normal))}, {depth})[0]);
}

// One image per copy, or all copies of all images in [begin, end): unflipped ones first.
template <class Get>
Tensor of_copies(const std::vector<Rendering>& copies, std::int64_t begin, std::int64_t end, Get get) {
  NoGrad no_grad;
  std::vector<Tensor> parts;
  for (const Rendering& copy : copies) parts.push_back(slice(std::invoke(get, copy), 0, begin, end));
  return concat(parts, 0);
}

void trace_input_images(TraceOutput& out, const std::string& step, const std::vector<Canonical>& shapes,
                        const std::vector<Rendering>& copies, const Tensor& canon_mask) {
  auto canonical = [&](Tensor Canonical::* member) {
    NoGrad no_grad;
    std::vector<Tensor> parts;
    for (const Canonical& shape : shapes) parts.push_back(shape.*member);
    return concat(parts, 0);
  };
  auto rendered = [&](auto get) { return of_copies(copies, 0, 1, get); };
  const std::string at = step + "/image/";
  out.image(at + "depth", canonical(&Canonical::depth));
  out.image(at + "albedo", canonical(&Canonical::albedo));
  out.image(at + "normal", canonical(&Canonical::normal));
  out.image(at + "diffuse", rendered([](const Rendering& r) { return r.shading.diffuse; }));
  out.image(at + "shading", rendered([](const Rendering& r) { return r.shading.shading; }));
  out.image(at + "texture", rendered(&Rendering::texture));
  out.image(at + "warped_depth", rendered([](const Rendering& r) { return r.warp.depth; }));
  out.image(at + "grid", rendered([](const Rendering& r) { return r.warp.grid; }));
  out.image(at + "valid", rendered(&Rendering::valid));
  out.image(at + "recon", rendered(&Rendering::recon));
  if (canon_mask) out.image(at + "canon_mask", canon_mask);
}

// Gives the snapshot that step 2 starts from. Trains netA last, so the caller makes fresh networks afterwards.
Snapshot trace_step1(const Method& c, Networks& nets, const Target& target, TraceOutput& out) {
  Step1 step(c, target, c.config.flip_in_step1(0), {});
  Step1::Result r = step.forward();
  out.losses("step1", r.losses);
  std::vector<Canonical> shapes = {r.canonical};
  if (r.copies.size() > 1) shapes.push_back(mirrored(c.renderer, r.canonical));
  trace_input_images(out, "step1", shapes, r.copies, r.snapshot.canon_mask);
  out.vector("step1/vector/view", step.view());
  out.vector("step1/vector/light", step.light());
  trace_update(out, "step1", "netA", nets.netA.parameters(), grad({r.losses.total}, step.parameters()), c.config);
  return r.snapshot;
}

void trace_step2(const Trace& t, const Method& c, Networks& nets, const Target& target, const Snapshot& snapshot, TraceOutput& out) {
  Step2 step(c, target, snapshot);
  Step2::Result r = step.forward(t.matrix(t.at("step2", "views"), "step2.views", 6), t.matrix(t.at("step2", "lights"), "step2.lights", 3));
  out.losses("step2", r.losses);
  out.image("step2/image/pseudo", r.pseudo.image);
  out.image("step2/image/mask", r.pseudo.mask);
  out.image("step2/image/projected", r.projection.image);
  out.vector("step2/vector/enc", r.projection.enc);
  if (r.projection.enc_gan) out.vector("step2/vector/enc_gan", r.projection.enc_gan);
  out.vector("step2/vector/offset", r.projection.offset);
  trace_update(out, "step2", "netEnc", nets.netEnc.parameters(), grad({r.losses.total}, step.parameters()), c.config);
}

Tensor images_of(const Trace& t, const json& names, bool masks) {
  std::vector<Tensor> parts;
  for (const json& name : names) parts.push_back(masks ? t.mask(name) : t.rgb(name));
  if (parts.empty()) fail(Errc::format, t.origin, "step3 has no pictures");
  return concat(parts, 0);
}

void trace_step3(const Method& c, Networks& nets, const Target& target, const Tensor& images, const Tensor& masks, TraceOutput& out) {
  Step3 step(c, target, c.config.flip_in_step3(0));
  Step3::Result r = step.forward({images, masks, {}});
  out.losses("step3_input", r.input);
  out.losses("step3", r.batch);
  trace_input_images(out, "step3_input", r.shapes, r.copies, r.canon_mask);
  const std::int64_t n = r.view.dim(0);
  out.vector("step3_input/vector/view", slice(r.view.detach(), 0, 0, 1));
  out.vector("step3_input/vector/light", slice(r.light.detach(), 0, 0, 1));
  auto rendered = [&](auto get) { return of_copies(r.copies, 1, n, get); };
  out.image("step3/image/recon", rendered(&Rendering::recon));
  out.image("step3/image/warped_depth", rendered([](const Rendering& x) { return x.warp.depth; }));
  out.image("step3/image/valid", rendered(&Rendering::valid));
  out.vector("step3/vector/netV", slice(r.raw_view.detach(), 0, 1, n));
  out.vector("step3/vector/netL", slice(r.raw_light.detach(), 0, 1, n));
  auto gradients = grad({r.batch.total}, step.parameters());
  std::size_t at = 0;
  for (auto& [name, net] : std::vector<std::pair<std::string, LayerNet*>>{
           {"netA", &nets.netA}, {"netD", &nets.netD}, {"netV", &nets.netV}, {"netL", &nets.netL}}) {
    const std::size_t count = net->parameters().all().size();
    const auto begin = gradients.begin() + static_cast<std::ptrdiff_t>(at);
    trace_update(out, "step3", name, net->parameters(), {begin, begin + static_cast<std::ptrdiff_t>(count)}, c.config);
    at += count;
  }
}

NamedTensors trace_steps(Trace& t, const TraceOptions& options) {
  t.config = config_from_trace(t.j, t.origin);
  TraceOutput out;
  Models m = make_models(t, options);
  Method method(t.config, m.networks, m.generator, &m.discriminator, m.lpips);
  Target target = make_target(t, m, out);
  const Tensor images = images_of(t, t.at("step3", "images"), false), masks = images_of(t, t.at("step3", "masks"), true);
  if (images.dim(0) != masks.dim(0)) fail(Errc::format, t.origin, "step3 has ", images.dim(0), " pictures, but ", masks.dim(0), " masks");
  trace_generator(method, target, out);
  trace_discriminator(method, target, out);
  trace_lpips(method, target, slice(images, 0, 0, 1), out);
  trace_renderer(t, method.renderer, target, out);
  // Each step updates other networks than the ones that the next starts from, but for netA: step 3 needs a fresh one.
  Snapshot snapshot = trace_step1(method, m.networks, target, out);
  m.networks = hashed_networks(t, t.config);
  trace_step2(t, method, m.networks, target, snapshot, out);
  trace_step3(method, m.networks, target, images, masks, out);
  return out.all();
}

// ---- kind "ellipsoid"

NamedTensors trace_ellipsoid(Trace& t) {
  Config& c = t.config;
  auto number = [&](const char* name) { return t.at(name).get<double>(); };
  c.size = t.at("S").get<int>();
  c.nf = std::max(4096 / c.size, 16);
  c.gn_base = c.size >= 128 ? 8 : 16;
  c.min_depth = number("min_depth");
  c.max_depth = number("max_depth");
  c.sphere_radius = number("sphere_radius");
  c.lr = number("lr");
  c.beta1 = t.at("betas").at(0).get<double>();
  c.beta2 = t.at("betas").at(1).get<double>();
  c.eps = number("eps");
  c.weight_decay = number("weight_decay");
  TraceOutput out;
  const Tensor image = t.rgb(t.at("image")), mask = t.mask(t.at("mask"));
  const std::string fit = t.at("fit").get<std::string>();
  Tensor wanted;
  for (const auto& [category, range] : t.at("categories").items()) {
    c.category = category;
    c.prior_near = range.at(0).get<double>();
    c.prior_far = range.at(1).get<double>();
    const Tensor d = ellipsoid_depth(mask, c, t.dtype);
    out.image("ellipsoid/image/" + category, d);
    if (category == fit) wanted = d;
  }
  if (!wanted) fail(Errc::format, t.origin, "fit names '", fit, "', which is none of the categories");
  Networks nets = hashed_networks(t, c);
  Tensor depth = Renderer(c.renderer()).rescale_depth(nets.netD(image)), loss = mean(square(depth - wanted));
  out.image("fit/image/depth", depth);
  out.loss("fit/loss/total", loss);
  trace_update(out, "fit", "netD", nets.netD.parameters(), grad({loss}, nets.netD.parameters().tensors()), c);
  return out.all();
}

}  // namespace

NamedTensors run_trace(const std::string& json_path, const TraceOptions& options) {
  Trace t = read_trace(json_path, options);
  const DefaultDevice guard(options.device);
  try {
    const std::string kind = t.at("kind").get<std::string>();
    if (kind == "steps") return trace_steps(t, options);
    if (kind == "ellipsoid") return trace_ellipsoid(t);
    fail(Errc::format, json_path, "kind '", kind, "' is neither steps nor ellipsoid");
  } catch (const json::exception& e) {
    fail(Errc::format, json_path, e.what());
  }
}

}  // namespace g2s
