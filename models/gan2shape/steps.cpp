#include "models/gan2shape/steps.h"

#include "engine/accumulate.h"
#include "engine/autograd.h"
#include "engine/constant.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/grid_sample/grid_sample.h"
#include "kernels/reduce/reduce.h"
#include "kernels/resize/resize.h"
#include "kernels/shape/shape.h"
#include "kernels/smooth/smooth.h"
#include "models/gan2shape/losses.h"

namespace g2s {
namespace {

Tensor center_crop(const Tensor& x, std::int64_t size) {
  const std::int64_t margin = (x.dim(1) - size) / 2;
  check(margin >= 0, "crop", "a crop of ", size, " pixels does not fit (x ", describe(x), ")");
  return slice(slice(x, 1, margin, margin + size), 2, margin, margin + size);
}

Tensor first(const Tensor& x) { return slice(x, 0, 0, 1).reshape({}); }
Tensor rest(const Tensor& x) { return slice(x, 0, 1, x.dim(0)); }

// One term per image: sum over its pixels of |a - b| weight.
Tensor weighted_l1(const Tensor& a, const Tensor& b, const Tensor& weight) { return sum(abs(a - b) * weight, {1, 2, 3}); }

// m / (3 sum m): makes weighted_l1 a masked mean over the images that share the sum.
Tensor l1_weight(const Tensor& mask) { return mask / (sum(mask) * 3.0); }

Tensor stacked(const std::vector<Tensor>& parts) { return parts.size() == 1 ? parts[0] : concat(parts, 0); }

// The terms on the input image: weights, smoothness once for all copies.
void add_up_input(Losses& l, const Config& c) {
  l.total = l.l1 + l.lpips * c.lam_perc + (l.smooth_depth + l.smooth_diffuse) * c.lam_smooth;
  if (l.l1_flip) l.total = l.total + l.l1_flip + l.lpips_flip * c.lam_perc;
}

// A batch cut into parts of nearly one size, none above `most`.
struct Parts {
  std::int64_t size, count;

  Parts(std::int64_t batch, std::int64_t most) : size(batch), count(0) {
    check(most > 0, "parts", "a part has at least one picture, not ", most);
    count = (batch + most - 1) / most;
  }
  std::int64_t begin(std::int64_t part) const { return part * size / count; }
};

void add_up(std::vector<Tensor>& sums, const std::vector<Tensor>& more) {
  if (sums.empty()) {
    sums = more;
    return;
  }
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] = accumulate(std::move(sums[i]), more[i], false);
}

void add_values(Losses& sums, const Losses& more) {
  for (const auto& [name, term] : loss_terms) {
    if (!(more.*term)) continue;
    Tensor& sum = sums.*term;
    sum = sum ? accumulate(std::move(sum), (more.*term).detach(), false) : (more.*term).detach();
  }
}

std::vector<Tensor> parameters_of(std::initializer_list<const LayerNet*> nets) {
  std::vector<Tensor> out;
  for (const LayerNet* net : nets)
    for (const Tensor& t : net->parameters().tensors()) out.push_back(t);
  return out;
}

Tensor with_mean(const Tensor& x, const std::vector<double>& mean) {
  return x + constant(mean, {1, static_cast<std::int64_t>(mean.size())}, x.dtype());
}

}  // namespace

NamedTensors named(const Losses& losses, const std::string& prefix) {
  NamedTensors out;
  for (const auto& [name, term] : loss_terms)
    if (losses.*term) out.emplace_back(prefix + name, losses.*term);
  return out;
}

Target Target::to(Device device) const {
  Target out = *this;
  for (Tensor* t : {&out.image, &out.mask, &out.latent, &out.mean_latent, &out.gan_image, &out.center_w, &out.center_h, &out.rotations, &out.drawn_rotations, &out.turn, &out.base,
                    &out.canonical_mask, &out.canonical_object})
    if (*t) *t = t->to(device);
  return out;
}

AdamOptions adam_options(const Config& c) { return {c.lr, c.beta1, c.beta2, c.eps, c.weight_decay}; }

Tensor generate(const Method& c, const Target& target, const Tensor& latent) {
  if (c.config.truncation >= 1) return c.generator.synthesis(latent);
  check(target.mean_latent.defined(), "generate", "truncation needs the mean latent");
  return c.generator.synthesis(Generator::truncate(latent, target.mean_latent, c.config.truncation));
}

Tensor at_input_size(const Method& c, const Target& target, const Tensor& generated) {
  Tensor y = generated;
  if (c.config.crop > 0) y = center_crop(resize(y, target.original_size, target.original_size), c.config.crop);
  return y.dim(1) == c.config.size ? y : resize(y, c.config.size, c.config.size);
}

Tensor as_input(const Method& c, const Target& target, const Tensor& generated) {
  return at_input_size(c, target, clamp(generated, -1, 1));
}

void prepare_target(const Method& c, Target& target) {
  if (target.gan_image) return;
  NoGrad no_grad;
  check(c.config.crop == 0 || target.original_size >= c.config.crop, "prepare_target", "the original picture is ", target.original_size,
        " pixels wide, the crop ", c.config.crop);
  const Generator& g = c.generator;
  const int cut = 8 - c.config.f1_depth;
  target.center_h = g.mapping_range(Tensor::zeros({1, g.style_dim()}, target.latent.dtype()), 0, cut);
  target.center_w = g.mapping_range(target.center_h, cut, g.mapping_modules());
  target.gan_image = as_input(c, target, generate(c, target, target.latent));
}

Tensor predict_depth(const Method& c, const Target& target) { return c.renderer.canonical_depth(c.networks.netD(target.image), target.base); }

Tensor view_of(const Method& c, const Tensor& raw_view, const Tensor& rotations, const Tensor& depth) {
  if (rotations) return c.renderer.view_from_units(raw_view + aligned_views(c.renderer, depth, rotations));
  return c.renderer.view_from_units(with_mean(raw_view, c.config.prior.view.mean));
}

Tensor light_of(const Method& c, const Tensor& raw_light) { return with_mean(raw_light, c.config.prior.light.mean); }

Tensor canonical_mask(const Method& c, const Target& target, const Tensor& depth, const Tensor& view) {
  if (target.canonical_mask) return target.canonical_mask;
  NoGrad no_grad;
  check(target.mask.defined(), "canonical_mask", "the configuration uses the object mask, but there is none");
  return grid_sample(target.mask, c.renderer.forward_grid(depth, c.renderer.pose(view)));
}

// ---- step 1

Step1::Step1(const Method& method, const Target& target, bool flip, Tensor canon_mask)
    : method_(method), target_(target), canon_mask_(std::move(canon_mask)) {
  NoGrad no_grad;
  const Renderer& renderer = method_.renderer;
  shape_.depth = predict_depth(method_, target);
  view_ = view_of(method_, method_.networks.netV(target.image), target.rotations, shape_.depth);
  light_ = light_of(method_, method_.networks.netL(target.image));
  shape_.normal = renderer.normals(shape_.depth);
  std::vector<Canonical> shapes = {shape_};
  if (flip) shapes.push_back(mirrored(renderer, shape_));
  std::vector<Tensor> depths, diffuse;
  for (const Canonical& s : shapes) {
    Rendering r;
    r.shading = shade(renderer, s.normal, light_);
    r.warp = warp(renderer, s.depth, view_);
    depths.push_back(s.depth);
    diffuse.push_back(r.shading.diffuse);
    fixed_.push_back(r);
  }
  share_valid(fixed_);
  smooth_depth_ = smooth_loss(stacked(depths));
  smooth_diffuse_ = smooth_loss(stacked(diffuse));
  if (method_.config.use_mask && !canon_mask_) canon_mask_ = canonical_mask(method_, target, shape_.depth, view_);
  weight_ = l1_weight(fixed_[0].valid);
  target_features_ = method_.lpips.features(target.image * fixed_[0].valid);
}

Step1::Result Step1::forward() const {
  const Renderer& renderer = method_.renderer;
  const Lpips& lpips = method_.lpips;
  Result out;
  out.canonical = shape_;
  out.canonical.albedo = method_.networks.netA(target_.image);
  out.copies = fixed_;
  Losses& l = out.losses;
  for (std::size_t i = 0; i < fixed_.size(); ++i) {
    Rendering& r = out.copies[i];
    r.texture = renderer.texture(i == 0 ? out.canonical.albedo : flip(out.canonical.albedo, 2), r.shading.shading);
    r.recon = renderer.reconstruct(r.texture, r.warp.grid);
    (i == 0 ? l.l1 : l.l1_flip) = sum(weighted_l1(r.recon, target_.image, weight_));
    (i == 0 ? l.lpips : l.lpips_flip) = mean(lpips.distance(lpips.features(r.recon * r.valid), target_features_));
  }
  l.smooth_depth = smooth_depth_;
  l.smooth_diffuse = smooth_diffuse_;
  add_up_input(l, method_.config);
  out.snapshot = {{shape_.depth, shape_.normal, out.canonical.albedo.detach()}, light_, canon_mask_};
  return out;
}

Step1::Updated Step1::update() const {
  const Result r = forward();
  Updated out;
  add_values(out.losses, r.losses);
  out.gradients = grad({r.losses.total}, parameters());
  out.snapshot = r.snapshot;
  return out;
}

std::vector<Tensor> Step1::parameters() const { return method_.networks.netA.parameters().tensors(); }

// ---- step 2

Step2::Step2(const Method& method, const Target& target, Snapshot snapshot)
    : method_(method), target_(target), snapshot_(std::move(snapshot)) {}

Step2::Pseudo Step2::render(const Tensor& views, const Tensor& lights) const {
  NoGrad no_grad;
  const Config& c = method_.config;
  const Renderer& renderer = method_.renderer;
  const Canonical& shape = snapshot_.canonical;
  Tensor units = views * constant({1, c.view_scale, 1, 1, 1, 1}, {1, 6}, views.dtype()), rotations;
  if (method_.directions) {
    rotations = slice(units, 1, 0, 2);
    units = aligned_views(renderer, shape.depth, rotations);
  }
  Warp w = warp(renderer, shape.depth, renderer.view_from_units(units));
  Shading s = shade_randomly(renderer, shape.normal, snapshot_.light, lights, c.rand_light.alpha);
  Tensor seen = c.use_mask ? snapshot_.canon_mask : Tensor::full(shape.depth.shape(), 1, shape.depth.dtype());
  return {renderer.reconstruct(renderer.texture(shape.albedo, s.shading), w.grid), grid_sample(seen, w.grid, Sampling::nearest), rotations};
}

Step2::Projection Step2::project(const Tensor& images, const Tensor& rotations) const {
  const Config& c = method_.config;
  const Generator& g = method_.generator;
  const int cut = 8 - c.f1_depth;
  Projection out;
  Tensor offset;
  if (c.relative_encoder) {
    Tensor all = method_.networks.netEnc(concat({images, target_.gan_image}, 0));
    out.enc = slice(all, 0, 0, images.dim(0));
    out.enc_gan = slice(all, 0, images.dim(0), images.dim(0) + 1);
    offset = out.enc - out.enc_gan;
  } else {
    offset = out.enc = method_.networks.netEnc(images);
  }
  out.offset = g.mapping_range(offset + target_.center_h, cut, g.mapping_modules()) - target_.center_w;
  Tensor turn;
  if (method_.directions) {
    out.offset = without_turn(*method_.directions, out.offset);
    turn = turned_offset(*method_.directions, target_.drawn_rotations, rotations, target_.turn, method_.renderer.config());
  }
  const Tensor moved = turn ? out.offset + turn : out.offset;
  Tensor latent = target_.latent + (target_.latent.rank() == 3 ? moved.reshape({images.dim(0), 1, moved.dim(1)}) : moved);
  out.image = as_input(method_, target_, generate(method_, target_, latent));
  return out;
}

Step2::Result Step2::forward_part(const Pseudo& all, std::int64_t begin, std::int64_t end) const {
  const Config& c = method_.config;
  Result out;
  const std::int64_t count = all.image.dim(0);
  auto cut = [&](const Tensor& x) { return x ? slice(x, 0, begin, end) : x; };
  out.pseudo = end - begin == count ? all : Pseudo{cut(all.image), cut(all.mask), cut(all.rotations)};
  out.projection = project(out.pseudo.image, out.pseudo.rotations);
  Losses& l = out.losses;
  l.l1 = masked_l1(out.projection.image, out.pseudo.image, out.pseudo.mask, all.mask);
  const double share = static_cast<double>(end - begin) / static_cast<double>(count);
  l.disc = method_.discriminator ? discriminator_difference(out, all.mask) : perceptual_difference(out) * (share * c.lam_step2_perc);
  l.latent_norm = mean(square(out.projection.offset)) * share;
  l.total = l.l1 + l.disc + l.latent_norm * c.lam_regular;
  return out;
}

Tensor Step2::discriminator_difference(const Result& r, const Tensor& whole) const {
  std::vector<Tensor> wanted;
  {
    NoGrad no_grad;
    wanted = method_.discriminator->features(r.pseudo.image, 4);
  }
  return feature_l1(method_.discriminator->features(r.projection.image, 4), wanted, r.pseudo.mask, whole);
}

Tensor Step2::perceptual_difference(const Result& r) const {
  Lpips::Features wanted;
  {
    NoGrad no_grad;
    wanted = method_.lpips.features(r.pseudo.image * r.pseudo.mask);
  }
  return mean(method_.lpips.distance(method_.lpips.features(r.projection.image * r.pseudo.mask), wanted));
}

Step2::Result Step2::forward(const Tensor& views, const Tensor& lights) const {
  return forward_part(render(views, lights), 0, views.dim(0));
}

Update Step2::update(const Tensor& views, const Tensor& lights, std::int64_t part) const {
  const Pseudo all = render(views, lights);
  const Parts parts(views.dim(0), part);
  const std::vector<Tensor> trained = parameters();
  Update out;
  for (std::int64_t i = 0; i < parts.count; ++i) {
    Losses losses = forward_part(all, parts.begin(i), parts.begin(i + 1)).losses;
    add_up(out.gradients, grad({losses.total}, trained));
    add_values(out.losses, losses);
  }
  return out;
}

std::vector<Tensor> Step2::parameters() const { return method_.networks.netEnc.parameters().tensors(); }

// ---- step 3

Step3::Step3(const Method& method, const Target& target, bool flip) : method_(method), target_(target), flip_(flip) {
  NoGrad no_grad;
  if (target.base) given_depth_ = method.renderer.canonical_depth(Tensor::zeros(target.base.shape(), target.base.dtype()), target.base);
}

Tensor Step3::with_input(const Tensor& rotations) const { return rotations ? concat({target_.rotations, rotations}, 0) : rotations; }

Canonical Step3::predict() const {
  Canonical shape;
  shape.depth = predict_depth(method_, target_);
  shape.normal = method_.renderer.normals(shape.depth);
  shape.albedo = method_.networks.netA(target_.image);
  return shape;
}

Step3::Result Step3::render(const Canonical& shape, const Tensor& images, const Tensor& rotations) const {
  const Renderer& renderer = method_.renderer;
  Result out;
  out.raw_view = method_.networks.netV(images);
  out.raw_light = method_.networks.netL(images);
  out.view = view_of(method_, out.raw_view, rotations, shape.depth);
  out.light = light_of(method_, out.raw_light);
  out.shapes = {shape};
  if (flip_) out.shapes.push_back(mirrored(renderer, shape));
  for (const Canonical& s : out.shapes) {
    Rendering r;
    r.shading = shade(renderer, s.normal, out.light);
    r.texture = renderer.texture(s.albedo, r.shading.shading);
    r.warp = warp(renderer, s.depth, out.view);
    r.recon = renderer.reconstruct(r.texture, r.warp.grid);
    out.copies.push_back(r);
  }
  share_valid(out.copies);
  return out;
}

// The input counts wherever the mesh is valid, the samples only within their own masks.
Step3::Images Step3::weigh(const Tensor& all, const Tensor& valid, const Tensor& masks) const {
  NoGrad no_grad;
  const Tensor input_mask = slice(valid, 0, 0, 1), sample_mask = rest(valid) * masks;
  return {all, concat({input_mask, sample_mask}, 0), concat({l1_weight(input_mask), l1_weight(sample_mask)}, 0), masks.dim(0), true};
}

void Step3::add_losses(Result& out, const Images& p) const {
  const Config& c = method_.config;
  const Lpips& lpips = method_.lpips;
  std::vector<Tensor> target_features, depths, diffuse;
  {
    NoGrad no_grad;
    target_features = lpips.features(p.all * p.mask);
  }
  const std::int64_t count = p.all.dim(0) - (p.with_input ? 1 : 0);
  const double share = static_cast<double>(count) / static_cast<double>(p.samples);
  auto samples = [&](const Tensor& x) { return p.with_input ? rest(x) : x; };
  if (method_.directions) out.batch.view = mean(square(out.raw_view)) * (static_cast<double>(p.all.dim(0)) / static_cast<double>(p.samples + 1));
  for (std::size_t i = 0; i < out.copies.size(); ++i) {
    const Tensor& recon = out.copies[i].recon;
    Tensor l1 = weighted_l1(recon, p.all, p.weight), distance = lpips.distance(lpips.features(recon * p.mask), target_features);
    if (p.with_input) {
      (i == 0 ? out.input.l1 : out.input.l1_flip) = first(l1);
      (i == 0 ? out.input.lpips : out.input.lpips_flip) = first(distance);
      depths.push_back(out.shapes[i].depth);
      diffuse.push_back(slice(out.copies[i].shading.diffuse, 0, 0, 1));
    }
    (i == 0 ? out.batch.l1 : out.batch.l1_flip) = count > 0 ? sum(samples(l1)) : Tensor::scalar(0, l1.dtype());
    (i == 0 ? out.batch.lpips : out.batch.lpips_flip) = count > 0 ? mean(samples(distance)) * share : Tensor::scalar(0, l1.dtype());
  }
  out.batch.total = out.batch.l1 + out.batch.lpips * c.lam_perc;
  if (flip_) out.batch.total = out.batch.total + out.batch.l1_flip + out.batch.lpips_flip * c.lam_perc;
  if (out.batch.view) out.batch.total = out.batch.total + out.batch.view * c.lam_view;
  if (!p.with_input) return;
  out.input.smooth_depth = smooth_loss(stacked(depths));
  out.input.smooth_diffuse = smooth_loss(stacked(diffuse));
  add_up_input(out.input, c);
  if (target_.base) {
    out.batch.base = mean(square((out.shapes[0].depth - given_depth_) * (2 / (c.max_depth - c.min_depth))));
    out.batch.total = out.batch.total + out.batch.base * c.lam_base;
  }
  out.batch.total = out.input.total + out.batch.total;
}

Step3::Result Step3::forward(const Samples& samples) const {
  const Tensor all = concat({target_.image, samples.images}, 0);
  const Canonical shape = predict();
  Result out = render(shape, all, with_input(samples.rotations));
  if (method_.config.use_mask) out.canon_mask = canonical_mask(method_, target_, shape.depth, slice(out.view, 0, 0, 1));
  add_losses(out, weigh(all, out.copies[0].valid, samples.masks));
  return out;
}

// Where the mesh is seen in every image, outside the graph.
Tensor Step3::valid_in_parts(const Canonical& shape, const Tensor& all, const Tensor& rotations, std::int64_t part) const {
  NoGrad no_grad;
  std::vector<Tensor> valid;
  const Parts parts(all.dim(0), part);
  for (std::int64_t i = 0; i < parts.count; ++i) {
    auto cut = [&](const Tensor& x) { return x ? slice(x, 0, parts.begin(i), parts.begin(i + 1)) : x; };
    const Tensor view = view_of(method_, method_.networks.netV(cut(all)), cut(rotations), shape.depth);
    Tensor seen = warp(method_.renderer, shape.depth, view).valid;
    if (flip_) seen = seen * warp(method_.renderer, flip(shape.depth, 2), view).valid;
    valid.push_back(seen);
  }
  return stacked(valid);
}

Step3::PartedUpdate Step3::update(const Samples& samples, std::int64_t part) const {
  PartedUpdate out;
  const Parts parts(samples.images.dim(0) + 1, part);
  if (parts.count == 1) {
    Result r = forward(samples);
    out.gradients = grad({r.batch.total}, parameters());
    add_values(out.input, r.input);
    add_values(out.batch, r.batch);
    out.canon_mask = r.canon_mask;
    return out;
  }
  // The shape is predicted once. Each part's gradients stop at it; their sums go on through the networks at the end.
  const Tensor all = concat({target_.image, samples.images}, 0), rotations = with_input(samples.rotations);
  const Canonical shape = predict();
  Canonical part_shape;
  part_shape.depth = shape.depth.detach().set_requires_grad();
  part_shape.albedo = shape.albedo.detach().set_requires_grad();
  const Images whole = weigh(all, valid_in_parts(part_shape, all, rotations, part), samples.masks);
  std::vector<Tensor> wanted = {part_shape.depth, part_shape.albedo}, to_shape, to_view_and_light;
  for (const Tensor& t : parameters_of({&method_.networks.netV, &method_.networks.netL})) wanted.push_back(t);
  for (std::int64_t i = 0; i < parts.count; ++i) {
    auto cut = [&](const Tensor& x) { return x ? slice(x, 0, parts.begin(i), parts.begin(i + 1)) : x; };
    part_shape.normal = method_.renderer.normals(part_shape.depth);
    Result r = render(part_shape, cut(all), cut(rotations));
    if (i == 0 && method_.config.use_mask) out.canon_mask = canonical_mask(method_, target_, part_shape.depth, slice(r.view, 0, 0, 1));
    add_losses(r, {cut(all), cut(whole.mask), cut(whole.weight), whole.samples, i == 0});
    std::vector<Tensor> gradients = grad({r.batch.total}, wanted);
    add_up(to_shape, {gradients[0], gradients[1]});
    add_up(to_view_and_light, {gradients.begin() + 2, gradients.end()});
    add_values(out.input, r.input);
    add_values(out.batch, r.batch);
  }
  out.gradients = grad({shape.depth, shape.albedo}, parameters_of({&method_.networks.netA, &method_.networks.netD}), to_shape);
  out.gradients.insert(out.gradients.end(), to_view_and_light.begin(), to_view_and_light.end());
  return out;
}

std::vector<Tensor> Step3::parameters() const {
  const Networks& n = method_.networks;
  return parameters_of({&n.netA, &n.netD, &n.netV, &n.netL});
}

}  // namespace g2s
