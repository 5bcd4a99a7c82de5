// GAN2Shape in one file, to be read from top to bottom beside the paper: "Do 2D GANs Know 3D Shape? Unsupervised 3D
// Shape Reconstruction from 2D Image GANs" (Pan et al., ICLR 2021, arXiv 2011.00844). docs/method.md explains the same
// in words and has every constant.
//
// The method finds the 3D shape behind one picture. It looks for a depth, an albedo (the colours without light), a
// camera and a light that together render to the picture. One picture alone allows many such answers, so a generator
// that has learnt to draw the object's category is asked for more pictures of the same object:
//
//   step 1  trains the albedo so that the current shape renders to the picture;
//   step 2  renders the shape from other views under other lights, crudely, and finds what the generator can draw
//           that is nearest to each: plausible pictures with those views and lights;
//   step 3  trains depth, albedo, views and lights to explain the picture and all of those at once.
//
// A fit runs each step some hundred times, and all three again for several stages. This program runs each once, from
// weights that are made from their names, and shows that it computes what the authors' program does: the golden trace
// tests/golden/synface64, in double and in single precision.
//
// What comes from the engine: tensors and gradients (engine/), operators (kernels/*/X.h). What comes from models/: the
// three frozen networks, StyleGAN2's generator and discriminator and the perceptual distance LPIPS. All else is here.
// Pictures are [B,H,W,C] with values in [-1,1]; a shape of 1 in the first place is shared by all B.

#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "engine/autograd.h"
#include "engine/files.h"
#include "engine/hashed.h"
#include "engine/image.h"
#include "engine/module.h"
#include "engine/safetensors.h"
#include "kernels/conv/conv.h"
#include "kernels/depth_mesh/depth_mesh.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/grid_sample/grid_sample.h"
#include "kernels/group_norm/group_norm.h"
#include "kernels/matmul/matmul.h"
#include "kernels/pool/pool.h"
#include "kernels/reduce/reduce.h"
#include "kernels/resize/resize.h"
#include "kernels/shape/shape.h"
#include "models/hashed_weights.h"
#include "models/lpips.h"
#include "models/stylegan2_discriminator.h"
#include "models/stylegan2_generator.h"

using namespace g2s;

namespace {

// ---- 1. Constants: those of the preset `synface` (docs/method.md), but for the two means, which are the trace's own ----

constexpr int S = 64;              // pictures are S x S
constexpr int nf = 64;             // channels of the first layer of netD, netA, netV, netL
constexpr int groups = 16;         // groups of the first group norm of netD and netA
constexpr int code = 256;          // channels between encoder and decoder of netD and netA
constexpr int latent_size = 512;   // of the generator
constexpr int encoder_nf = 32;     // channels of the first layer of netEnc

constexpr double min_depth = 0.9, max_depth = 1.1;                       // of the canonical depth
constexpr double border_depth = 0.7 * max_depth + 0.3 * min_depth;       // of its leftmost and rightmost two columns
constexpr double border_weight = 1.02;
constexpr double margin = (max_depth - min_depth) / 2;                   // what turning may add to the range of depth
constexpr double centre_depth = 1;                                       // objects turn about (0, 0, 1)
constexpr double field_of_view = 10 * std::numbers::pi / 180;
constexpr double turn = 60 * std::numbers::pi / 180, shift = 0.1;        // radians and distance in a unit of netV

const std::vector<double> view_units = {turn, turn, turn, shift, shift, 0};       // rotations about x, y, z; translation
const std::vector<double> view_mean = {0.05, -0.12, 0.02, 0.15, -0.1, 0.01};      // in those units
const std::vector<double> light_mean = {-0.1, 0.1, 0.1, 0.3};                     // ambient, diffuse, dx, dy
const std::vector<double> view_scale = {1, 1.2, 1, 1, 1, 1};                      // step 2 exaggerates the yaw
constexpr double random_ambient = -0.4;                                           // alpha of step 2's lights

constexpr double weight_lpips = 0.5, weight_smooth = 0.01, weight_offset = 0.01;  // of the losses
constexpr double learning_rate = 1e-4, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 5e-4;  // of Adam

// ---- 2. The trained networks ----

struct Weight {
  std::string name;  // as PyTorch has it: network.0.weight
  Tensor value;      // a leaf of the graph: gradients are taken to it, Adam changes it in place
  int fan_in = 0;    // of a convolution: how many numbers each output is a sum of; else 0
  ParameterKind kind() const { return value.rank() == 4 ? ParameterKind::conv : ParameterKind::plain; }
};

// A list of layers. Each call appends one; channels are what the layer before gave.
class Net {
 public:
  Net(std::string name, DType dtype) : name_(std::move(name)), dtype_(dtype) {}

  Net& conv(int out, int k, int stride, int pad) {
    const Tensor w = weight(".weight", {out, k, k, channels_}, channels_ * k * k);
    return layer(out, [=](const Tensor& x) { return conv2d(x, w, {.stride = stride, .pad = pad}); });
  }
  Net& deconv(int out, int k, int stride, int pad) {  // transposed
    const Tensor w = weight(".weight", {channels_, k, k, out}, channels_ * k * k);
    return layer(out, [=](const Tensor& x) { return conv_transpose2d(x, w, {.stride = stride, .pad = pad}); });
  }
  Net& norm(int group_count) {
    const Tensor w = weight(".weight", {channels_}), b = weight(".bias", {channels_});
    return layer(channels_, [=](const Tensor& x) { return group_norm(x, group_count, w, b); });
  }
  // y = conv(relu(conv(r))) + conv(pool(r)) + bias with r = relu(x), at half the size.
  Net& residual_down(int out) {
    const Tensor w1 = weight(".conv1.weight", {out, 3, 3, channels_}, channels_ * 9);
    const Tensor w2 = weight(".conv2.weight", {out, 3, 3, out}, out * 9);
    const Tensor shortcut = weight(".conv_sc.weight", {out, 1, 1, channels_}, channels_), b = weight(".conv_sc.bias", {out});
    return layer(out, [=](const Tensor& x) {
      const Tensor r = g2s::relu(x), h = g2s::relu(conv2d(r, w1, {.stride = 2, .pad = 1}));
      return conv2d(h, w2, {.pad = 1}) + conv2d(avg_pool2d(r, 2), shortcut) + b;
    });
  }
  Net& relu() { return layer(channels_, [](const Tensor& x) { return g2s::relu(x); }); }
  Net& leaky_relu() { return layer(channels_, [](const Tensor& x) { return g2s::leaky_relu(x, 0.2); }); }
  Net& tanh() { return layer(channels_, [](const Tensor& x) { return g2s::tanh(x); }); }
  Net& upsample() { return layer(channels_, [](const Tensor& x) { return resize_nearest(x, 2 * x.dim(1), 2 * x.dim(2)); }); }
  Net& flatten() { return layer(channels_, [](const Tensor& x) { return x.reshape({x.dim(0), Tensor::infer}); }); }

  Tensor operator()(const Tensor& x) const {
    Tensor h = x;
    for (const auto& apply : layers_) h = apply(h);
    return h;
  }
  const std::string& name() const { return name_; }
  std::vector<Weight>& weights() { return weights_; }

 private:
  Tensor weight(const std::string& name, const Shape& shape, int fan_in = 0) {
    weights_.push_back({"network." + std::to_string(layers_.size()) + name, Tensor::zeros(shape, dtype_).set_requires_grad(), fan_in});
    return weights_.back().value;  // a handle to the same numbers
  }
  Net& layer(int out, std::function<Tensor(const Tensor&)> apply) {
    channels_ = out;
    layers_.push_back(std::move(apply));
    return *this;
  }

  std::string name_;
  DType dtype_;
  int channels_ = 3;
  std::vector<Weight> weights_;
  std::vector<std::function<Tensor(const Tensor&)>> layers_;
};

// netD and netA: S pixels to S/2, S/4, S/8, 4, to a code of one pixel, and back.
Net encoder_decoder(const std::string& name, int out, DType dtype) {
  Net net(name, dtype);
  net.conv(nf, 4, 2, 1);
  for (int i = 1; i < 4; ++i) net.norm(groups << (i - 1)).leaky_relu().conv(nf << i, 4, 2, 1);
  net.leaky_relu().conv(code, 4, 1, 0).relu();
  net.deconv(8 * nf, 4, 1, 0).relu().conv(8 * nf, 3, 1, 1).relu();
  for (int i = 2; i >= 0; --i) {
    net.deconv(nf << i, 4, 2, 1).norm(groups << i).relu().conv(nf << i, 3, 1, 1).norm(groups << i).relu();
  }
  net.upsample().conv(nf, 3, 1, 1).norm(groups).relu().conv(nf, 5, 1, 2).norm(groups).relu();
  return net.conv(out, 5, 1, 2);
}

// netV and netL: a picture to a few numbers in [-1,1].
Net encoder(const std::string& name, int out, DType dtype) {
  Net net(name, dtype);
  for (int i = 0; i < 4; ++i) net.conv(nf << i, 4, 2, 1).relu();
  return net.conv(8 * nf, 4, 1, 0).relu().conv(out, 1, 1, 0).tanh().flatten();
}

// netEnc: a picture to a vector that the generator's mapping network takes.
Net residual_encoder(const std::string& name, DType dtype) {
  Net net(name, dtype);
  net.conv(encoder_nf, 4, 2, 1);
  for (int i = 1; i < 4; ++i) net.residual_down(encoder_nf << i);
  return net.relu().conv(16 * encoder_nf, 4, 1, 0).relu().conv(latent_size, 1, 1, 0).flatten();
}

struct Networks {
  Net depth, albedo, view, light, offset;  // netD, netA, netV, netL, netEnc

  explicit Networks(DType t)
      : depth(encoder_decoder("netD", 1, t)), albedo(encoder_decoder("netA", 3, t).tanh()), view(encoder("netV", 6, t)),
        light(encoder("netL", 4, t)), offset(residual_encoder("netEnc", t)) {}
};

// Networks that are never trained.
struct Frozen {
  StyleGan2Generator generator;
  StyleGan2Discriminator discriminator;
  Lpips lpips;
};

// ---- 3. Depth, camera and normals ----

Tensor row(const std::vector<double>& values, DType dtype) {
  return Tensor::from(values, {1, static_cast<std::int64_t>(values.size())}).to(dtype);
}

// The canonical depth, the object seen from the front, from netD's output r:
//   d = (max + min)/2 + (max - min)/2 tanh(r - mean r),   at the border   d (1 - b) + b border_depth.
Tensor canonical_depth(const Tensor& r) {
  const Tensor d = (max_depth + min_depth) / 2 + (max_depth - min_depth) / 2 * tanh(r - mean(r, {1, 2, 3}, true));
  const Tensor inside = Tensor::zeros({1, 1, S - 4, 1}, r.dtype()), b = pad(inside, 2, 2, 2, border_weight);
  return d * (1 - b) + b * border_depth;
}

// A pinhole camera. A pixel has the place (u, v) in [-1,1]^2, corner pixels at the corners, and is seen along the ray
// (u t, v t, 1), where t = tan(field of view / 2).
const double t = std::tan(field_of_view / 2);

// The point that a pixel shows, from its depth d: p = d (u t, v t, 1).  [B,S,S,1] -> [B,S,S,3]
Tensor points(const Tensor& depth) {
  std::vector<double> rays;
  auto place = [](int pixel) { return 2.0 * pixel / (S - 1) - 1; };
  for (int y = 0; y < S; ++y)
    for (int x = 0; x < S; ++x) rays.insert(rays.end(), {place(x) * t, place(y) * t, 1});
  return depth * Tensor::from(rays, {1, S, S, 3}).to(depth.dtype());
}

// The pixel that shows a point: (u, v) = (x, y) / (z t).  [B,S,S,3] -> [B,S,S,2]
Tensor project(const Tensor& p) { return slice(p, 3, 0, 2) / (slice(p, 3, 2) * t); }

// R = Rz Ry Rx of three angles.  [B,3] -> [B,3,3]
Tensor rotation(const Tensor& angles) {
  const std::int64_t n = angles.dim(0);
  const Tensor one = Tensor::full({n, 1}, 1, angles.dtype()), zero = Tensor::zeros({n, 1}, angles.dtype());
  auto matrix = [n](const std::vector<Tensor>& entries) { return concat(entries, 1).reshape({n, 3, 3}); };
  const Tensor c = cos(angles), s = sin(angles);
  const Tensor cx = slice(c, 1, 0), cy = slice(c, 1, 1), cz = slice(c, 1, 2);
  const Tensor sx = slice(s, 1, 0), sy = slice(s, 1, 1), sz = slice(s, 1, 2);
  const Tensor about_x = matrix({one, zero, zero, zero, cx, -sx, zero, sx, cx});
  const Tensor about_y = matrix({cy, zero, sy, zero, one, zero, -sy, zero, cy});
  const Tensor about_z = matrix({cz, -sz, zero, sz, cz, zero, zero, zero, one});
  return matmul(about_z, matmul(about_y, about_x));
}

// How objects stand before the camera: q = R (p - c) + c + T, with c = (0, 0, centre_depth). A view is six numbers, three
// angles and T. Points are rows here, so R is multiplied from the right, transposed.
struct Pose {
  Tensor R, T, c;

  explicit Pose(const Tensor& view)
      : R(rotation(slice(view, 1, 0, 3))), T(slice(view, 1, 3, 6).reshape({view.dim(0), 1, 3})), c(row({0, 0, centre_depth}, view.dtype())) {}

  Tensor apply(const Tensor& p) const { return shaped(matmul(rows(p) - c, R, false, true) + c + T); }
  Tensor undo(const Tensor& q) const { return shaped(matmul(rows(q) - T - c, R) + c); }

 private:
  static Tensor rows(const Tensor& p) { return p.reshape({p.dim(0), S * S, 3}); }
  static Tensor shaped(const Tensor& rows) { return rows.reshape({rows.dim(0), S, S, 3}); }
};

// Unit vectors that stand on the surface: the cross product of the differences to both sides, along x and along y. The
// outermost pixels have (0, 0, 1).  [B,S,S,1] -> [B,S,S,3]
Tensor normals(const Tensor& depth) {
  const Tensor p = points(depth), middle_rows = slice(p, 1, 1, S - 1), middle_columns = slice(p, 2, 1, S - 1);
  const Tensor a = slice(middle_rows, 2, 2, S) - slice(middle_rows, 2, 0, S - 2);
  const Tensor b = slice(middle_columns, 1, 2, S) - slice(middle_columns, 1, 0, S - 2);
  auto component = [&](int i, int j, double at_border) {
    const Tensor n = slice(a, 3, i) * slice(b, 3, j) - slice(a, 3, j) * slice(b, 3, i);
    return pad(pad(n, 1, 1, 1, at_border), 2, 1, 1, at_border);
  };
  const Tensor n = concat({component(1, 2, 0), component(2, 0, 0), component(0, 1, 1)}, 3);
  return n / (sqrt(sum(square(n), {3}, true)) + 1e-7);
}

// ---- 4. Light, and the picture ----

struct Light {
  Tensor ambient, diffuse, direction;  // [N,1,1,1], [N,1,1,1], [N,1,1,3] of length 1
};

Tensor direction_of(const Tensor& dx_dy) {
  const Tensor d = pad(dx_dy, 1, 0, 1, 1);  // (dx, dy, 1)
  return (d / sqrt(sum(square(d), {1}, true))).reshape({d.dim(0), 1, 1, 3});
}

// ambient = l0/2 + 1/2, diffuse = l1/2 + 1/2, direction = (l2, l3, 1) / length.  [N,4]
Light light_of(const Tensor& l) {
  const Tensor strength = (slice(l, 1, 0, 2) / 2 + 0.5).reshape({l.dim(0), 1, 1, 2});
  return {slice(strength, 3, 0), slice(strength, 3, 1), direction_of(slice(l, 1, 2, 4))};
}

// The object without camera and light, seen from the front.
struct Object {
  Tensor depth, normal, albedo;  // [1,S,S,1], [1,S,S,3], [1,S,S,3]

  Object(const Tensor& d, const Tensor& a) : depth(d), normal(normals(d)), albedo(a) {}
  Object mirrored() const { return {flip(depth, 2), flip(albedo, 2)}; }
};

struct Rendering {
  Tensor diffuse, shading, texture;  // of the canonical picture
  Tensor depth, grid, valid, image;  // as seen
};

// The object in N views [N,6] (radians, distances) under N lights.
Rendering render(const Object& object, const Tensor& view, const Light& light) {
  Rendering r;
  // Light falls on the canonical picture: shading = ambient + diffuse max(0, n . l), texture = albedo shading, where
  // colours go from 0 to 1.
  r.diffuse = clamp(sum(object.normal * light.direction, {3}, true), 0);
  r.shading = light.ambient + light.diffuse * r.diffuse;
  r.texture = (object.albedo / 2 + 0.5) * r.shading * 2 - 1;
  // The grid of points is a mesh of 2 (S-1)^2 triangles. Turned and drawn it gives the depth that the camera sees, and
  // max_depth + margin where it sees nothing.
  const Pose pose(view);
  const Pinhole camera = {(S - 1) / 2.0 / t, (S - 1) / 2.0, (S - 1) / 2.0};
  r.depth = rasterize_depth_mesh(pose.apply(points(object.depth)),
                                 {.camera = camera, .clamp_lo = min_depth - margin, .clamp_hi = max_depth + margin});
  r.valid = less(r.depth, max_depth + margin);
  // Each seen pixel shows a point. Turned back, the point says where in the canonical texture to look.
  r.grid = project(pose.undo(points(r.depth)));
  r.image = clamp(grid_sample(r.texture, r.grid), -1, 1);
  return r;
}

// ---- 5. Losses ----

// sum |a - b| m / sum m, the mask m counted once for each channel.
Tensor masked_l1(const Tensor& a, const Tensor& b, const Tensor& m) {
  return sum(abs(a - b) * m) / (sum(m) * static_cast<double>(a.dim(3)));
}

// The same of the discriminator's features, which have half, a quarter, .. of the pixels: the mask is averaged.
Tensor feature_l1(const std::vector<Tensor>& a, const std::vector<Tensor>& b, const Tensor& mask) {
  Tensor total = Tensor::scalar(0, mask.dtype()), m = mask;
  for (std::size_t i = 0; i < a.size(); ++i) {
    m = avg_pool2d(m, 2);
    total = total + masked_l1(a[i], b[i], m);
  }
  return total;
}

// mean |dxx| + mean |dxy| + mean |dyx| + mean |dyy|: second differences.
Tensor smoothness(const Tensor& x) {
  auto d = [](const Tensor& y, int axis) { return slice(y, axis, 1, y.dim(axis)) - slice(y, axis, 0, y.dim(axis) - 1); };
  Tensor total = Tensor::scalar(0, x.dtype());
  for (int first : {1, 2})
    for (int second : {1, 2}) total = total + mean(abs(d(d(x, first), second)));
  return total;
}

// How well an object explains pictures [N,S,S,3] with these views and lights: for every copy of it
//   masked L1 + 0.5 LPIPS
// where all copies are seen and `masks` is not 0. Copies are the object alone or, for things that have two equal sides,
// the object and its mirror image.
struct Explanation {
  std::vector<Rendering> seen;    // by copy
  std::vector<Tensor> l1, lpips;  // by copy
  Tensor valid, loss;
};

Explanation explain(const Lpips& lpips, const std::vector<Object>& copies, const Tensor& view, const Light& light,
                    const Tensor& pictures, const Tensor& masks) {
  Explanation e;
  e.valid = Tensor::full(masks.shape(), 1, masks.dtype());
  e.loss = Tensor::scalar(0, masks.dtype());
  for (const Object& copy : copies) {
    e.seen.push_back(render(copy, view, light));
    e.valid = e.valid * e.seen.back().valid;
  }
  const Tensor m = e.valid * masks;
  for (const Rendering& r : e.seen) {
    e.l1.push_back(masked_l1(r.image, pictures, m));
    e.lpips.push_back(mean(lpips.distance(r.image * m, pictures * m)));
    e.loss = e.loss + e.l1.back() + weight_lpips * e.lpips.back();
  }
  return e;
}

// ---- 6. Adam, with weight decay as an L2 penalty ----

//   g' = g + decay x,   m = beta1 m + (1 - beta1) g',   v = beta2 v + (1 - beta2) g'^2,
//   x  = x - rate (m / (1 - beta1^n)) / (sqrt(v / (1 - beta2^n)) + epsilon)        in update n = 1, 2, ..
class Optimiser {
 public:
  explicit Optimiser(std::vector<Tensor> weights) : x_(std::move(weights)) {
    for (const Tensor& x : x_) m_.push_back(Tensor::zeros(x.shape(), x.dtype()));
    v_ = m_;
  }
  void step(const std::vector<Tensor>& gradients) {
    const NoGrad no_grad;
    ++n_;
    for (std::size_t i = 0; i < x_.size(); ++i) {
      const Tensor g = gradients[i] + weight_decay * x_[i];
      m_[i] = beta1 * m_[i] + (1 - beta1) * g;
      v_[i] = beta2 * v_[i] + (1 - beta2) * square(g);
      const Tensor m = m_[i] / (1 - std::pow(beta1, n_)), v = v_[i] / (1 - std::pow(beta2, n_));
      copy_into(x_[i], x_[i] - learning_rate * (m / (sqrt(v) + epsilon)));
    }
  }

 private:
  std::vector<Tensor> x_, m_, v_;
  int n_ = 0;
};

// What was computed, under the names of the golden trace (the table in tests/golden/README.md).
class Record {
 public:
  void add(const std::string& name, const Tensor& x) {
    const Tensor y = x.detach().to(DType::f32);
    values.emplace_back(name, y.rank() == 4 ? nhwc_to_nchw(y) : y.rank() == 0 ? y.reshape({1}) : y);
  }
  void add(const std::string& prefix, const std::vector<std::pair<std::string, Tensor>>& all) {
    for (const auto& [name, x] : all) add(prefix + name, x);
  }
  // Large tensors are known by six numbers: length, product with hashed numbers, first four entries.
  void add_six(const std::string& name, const std::string& hashed_name, const Tensor& x, ParameterKind kind) {
    const Tensor y = to_checkpoint(x, kind).to(DType::f64), flat = y.reshape({Tensor::infer});
    const Tensor length = sqrt(sum(square(flat))), product = sum(flat * hashed("dot:" + hashed_name, flat.shape()));
    const std::int64_t first = std::min<std::int64_t>(4, flat.numel());
    add(name, pad(concat({length.reshape({1}), product.reshape({1}), slice(flat, 0, 0, first)}, 0), 0, 0, 4 - first));
  }
  NamedTensors values;
};

// One update of networks from a loss. `record` gets gradients, weights and the change of weights.
void train(Record& record, const std::string& step, const std::vector<Net*>& nets, const Tensor& loss) {
  std::vector<Tensor> weights, before;
  for (Net* net : nets)
    for (const Weight& w : net->weights()) weights.push_back(w.value), before.push_back(w.value.clone());
  const std::vector<Tensor> gradients = grad({loss}, weights);
  Optimiser(weights).step(gradients);

  std::size_t i = 0;
  const NoGrad no_grad;
  for (Net* net : nets) {
    for (const Weight& w : net->weights()) {
      const std::string name = net->name() + "/" + w.name;
      record.add_six(step + "/grad/" + name, name, gradients[i], w.kind());
      record.add_six(step + "/param/" + name, name, weights[i].detach(), w.kind());
      const Tensor change = weights[i].detach().to(DType::f64) - before[i].to(DType::f64);
      record.add_six(step + "/update/" + name, name, change / learning_rate, w.kind());
      ++i;
    }
  }
}

// ---- 7. The three steps ----

// Angles in radians and distances, from netV's output.
Tensor view_of(const Tensor& raw) { return (raw + row(view_mean, raw.dtype())) * row(view_units, raw.dtype()); }
Tensor with_light_mean(const Tensor& raw) { return raw + row(light_mean, raw.dtype()); }

// What step 2 draws its pictures from: the object and its light when step 1 ends.
struct Current {
  Object object;
  Tensor light;
};

// Step 1 trains netA. What it does not train is cut from the graph by detach().
Current step1(Record& record, Networks& nets, const Frozen& frozen, const Tensor& input) {
  const Tensor view = view_of(nets.view(input)).detach(), light = with_light_mean(nets.light(input)).detach();
  const Object object(canonical_depth(nets.depth(input)).detach(), nets.albedo(input));
  const Tensor everywhere = Tensor::full({1, S, S, 1}, 1, input.dtype());
  const Explanation e = explain(frozen.lpips, {object}, view, light_of(light), input, everywhere);
  const Rendering& r = e.seen[0];
  const Tensor smooth_depth = smoothness(object.depth), smooth_diffuse = smoothness(r.diffuse);
  const Tensor total = e.loss + weight_smooth * (smooth_depth + smooth_diffuse);
  train(record, "step1", {&nets.albedo}, total);

  record.add("step1/loss/", {{"l1", e.l1[0]}, {"lpips", e.lpips[0]}, {"smooth_depth", smooth_depth},
                             {"smooth_diffuse", smooth_diffuse}, {"smooth", smooth_depth + smooth_diffuse}, {"total", total}});
  record.add("step1/image/", {{"depth", object.depth}, {"albedo", object.albedo}, {"normal", object.normal},
                              {"diffuse", r.diffuse}, {"shading", r.shading}, {"texture", r.texture},
                              {"warped_depth", r.depth}, {"grid", r.grid}, {"valid", r.valid}, {"recon", r.image}});
  record.add("step1/vector/", {{"view", view}, {"light", light}});
  return {Object(object.depth, object.albedo.detach()), light};
}

// Step 2 trains netEnc. `views` and `lights` are random: views [B,6] in netV's units, lights [B,3] are dx, dy and a, by
// which the object's own light changes.
void step2(Record& record, Networks& nets, const Frozen& frozen, const Current& now, const Tensor& latent,
           const Tensor& views, const Tensor& lights) {
  // Pseudo pictures: the object as it is, seen and lit anew.
  const DType dtype = views.dtype();
  const Tensor view = views * row(view_scale, dtype) * row(view_units, dtype), a = slice(lights, 1, 2).reshape({lights.dim(0), 1, 1, 1});
  const Light own = light_of(now.light);
  const Light light = {own.ambient + random_ambient * a, own.diffuse + a, direction_of(slice(lights, 1, 0, 2))};
  const Rendering r = render(now.object, view, light);
  const Tensor pseudo = r.image, mask = grid_sample(Tensor::full({1, S, S, 1}, 1, dtype), r.grid, Sampling::nearest);

  // The generator draws from a latent vector w what is near them. The input's w moves by an offset that has gone through
  // the mapping network M, which gives only what the generator knows:
  //   offset = M(netEnc(pseudo) - netEnc(G(w))) - M(0),   projected = G(w + offset).
  auto draw = [&](const Tensor& w) { return clamp(frozen.generator.synthesis(w), -1, 1); };
  auto M = [&](const Tensor& h) { return frozen.generator.mapping(h); };
  const Tensor raw = frozen.generator.synthesis(latent), zero = Tensor::zeros({1, latent_size}, dtype), centre = M(zero);
  const Tensor enc = nets.offset(pseudo), enc_gan = nets.offset(draw(latent));
  const Tensor offset = M(enc - enc_gan) - centre, projected = draw(latent + offset);

  const Tensor l1 = masked_l1(projected, pseudo, mask), latent_norm = mean(square(offset));
  const Tensor disc = feature_l1(frozen.discriminator.features(projected), frozen.discriminator.features(pseudo), mask);
  const Tensor total = l1 + disc + weight_offset * latent_norm;
  train(record, "step2", {&nets.offset}, total);

  record.add("G/image/", {{"raw", raw}, {"gan_im", draw(latent)}});
  record.add("G/vector/", {{"center_w", centre}, {"center_h", zero}});
  record.add("step2/loss/", {{"l1", l1}, {"disc", disc}, {"latent_norm", latent_norm}, {"total", total}});
  record.add("step2/image/", {{"pseudo", pseudo}, {"mask", mask}, {"projected", projected}});
  record.add("step2/vector/", {{"enc", enc}, {"enc_gan", enc_gan}, {"offset", offset}});
}

// Losses and pictures of both copies.
void add_explanation(Record& record, const std::string& step, const Explanation& e) {
  auto both = [&](Tensor Rendering::*member) { return concat({e.seen[0].*member, e.seen[1].*member}, 0); };
  record.add(step + "/loss/", {{"l1", e.l1[0]}, {"l1_flip", e.l1[1]}, {"lpips", e.lpips[0]}, {"lpips_flip", e.lpips[1]}});
  record.add(step + "/image/", {{"recon", both(&Rendering::image)}, {"warped_depth", both(&Rendering::depth)},
                                {"valid", concat({e.valid, e.valid}, 0)}});
}

// Step 3 trains netA, netD, netV and netL: one depth and one albedo explain the input and `samples`, projected pictures
// of step 2 with their masks, each with a view and a light of its own. So must their mirror images.
void step3(Record& record, Networks& nets, const Frozen& frozen, const Tensor& input, const Tensor& samples, const Tensor& masks) {
  const Object object(canonical_depth(nets.depth(input)), nets.albedo(input)), mirror = object.mirrored();
  const Tensor view = view_of(nets.view(input)), light = with_light_mean(nets.light(input));
  const Tensor everywhere = Tensor::full({1, S, S, 1}, 1, input.dtype());
  const Explanation first = explain(frozen.lpips, {object, mirror}, view, light_of(light), input, everywhere);
  const Tensor smooth_depth = smoothness(concat({object.depth, mirror.depth}, 0));
  const Tensor smooth_diffuse = smoothness(concat({first.seen[0].diffuse, first.seen[1].diffuse}, 0));
  const Tensor input_total = first.loss + weight_smooth * (smooth_depth + smooth_diffuse);

  const Tensor raw_view = nets.view(samples), raw_light = nets.light(samples);
  const Explanation others = explain(frozen.lpips, {object, mirror}, view_of(raw_view), light_of(with_light_mean(raw_light)), samples, masks);
  const Tensor total = input_total + others.loss;
  train(record, "step3", {&nets.albedo, &nets.depth, &nets.view, &nets.light}, total);

  add_explanation(record, "step3_input", first);
  record.add("step3_input/loss/", {{"smooth_depth", smooth_depth}, {"smooth_diffuse", smooth_diffuse},
                                   {"smooth", smooth_depth + smooth_diffuse}, {"total", input_total}});
  record.add("step3_input/image/", {{"depth", concat({object.depth, mirror.depth}, 0)}, {"normal", concat({object.normal, mirror.normal}, 0)}});
  record.add("step3_input/vector/", {{"view", view}, {"light", light}});
  add_explanation(record, "step3", others);
  record.add("step3/loss/total", total);
  record.add("step3/vector/", {{"netV", raw_view}, {"netL", raw_light}});
}

// ---- 8. The trace: inputs, weights from names, and a table of what came out ----

const std::string golden = G2S_SOURCE_DIR "/tests/golden/";

// PyTorch's own order of elements counts, and the reference keeps the numbers as f32. `smooth`: the last three
// convolutions are mostly averages, so that their pictures are smooth.
void fill_hashed(Net& net, double last_scale, bool smooth) {
  int after = 0;  // convolutions behind this one
  for (std::size_t i = net.weights().size(); i-- > 0;) {
    Weight& w = net.weights()[i];
    Tensor u = hashed(net.name() + "/" + w.name, checkpoint_shape(w.value.shape(), w.kind()));
    if (w.fan_in > 0) {
      if (smooth && after < 3) u = slice(slice(u, 2, 0), 3, 0) + 0.25 * u;
      u = u * (std::sqrt(3.0) * std::sqrt(2.0 / w.fan_in) * (after == 0 ? last_scale : 1));
      ++after;
    } else {
      u = affine(u, 0.1, w.name.ends_with(".weight") ? 1 : 0);  // group norms, biases
    }
    copy_into(w.value, from_checkpoint(u.to(DType::f32), w.kind()).to(w.value.dtype()));
  }
}

Networks hashed_networks(DType dtype) {
  Networks nets(dtype);
  fill_hashed(nets.depth, 0.05, true), fill_hashed(nets.albedo, 0.15, true);
  fill_hashed(nets.view, 0.2, false), fill_hashed(nets.light, 0.2, false), fill_hashed(nets.offset, 0.4, false);
  return nets;
}

Frozen frozen_networks(DType dtype) {
  GeneratorConfig g;  // of 64 pixels and 512 numbers, as they stand there
  g.channels = {128, 128, 128, 64, 32};
  DiscriminatorConfig d;
  d.channels = {32, 64, 128, 128, 128};
  ParameterMap of_g = generator_parameters(g), of_d = discriminator_parameters(d);
  fill_hashed_generator(of_g, 0.4);
  fill_hashed_discriminator(of_d);
  return {StyleGan2Generator(g, of_g.to(dtype)), StyleGan2Discriminator(d, of_d.to(dtype)),
          Lpips(SafetensorsFile(G2S_SOURCE_DIR "/assets/lpips_vgg.safetensors"), dtype)};
}

Tensor pictures(const nlohmann::json& names, DType dtype, bool masks) {
  std::vector<Tensor> all;
  for (const std::string name : names) {
    const Tensor pixels = read_image(golden + name).rgb.to(DType::f64) / 255;
    all.push_back(masks ? slice(pixels, 3, 0) : pixels * 2 - 1);
  }
  return concat(all, 0).to(dtype);
}

Tensor matrix(const nlohmann::json& rows, DType dtype) {
  std::vector<Tensor> all;
  for (const std::vector<double> values : rows) all.push_back(row(values, dtype));
  return concat(all, 0);
}

NamedTensors run(DType dtype) {
  const nlohmann::json given = nlohmann::json::parse(read_file(golden + "synface64.json"));
  const nlohmann::json &of_step2 = given.at("step2"), &of_step3 = given.at("step3");
  const Tensor input = pictures({given.at("image")}, dtype, false);
  const Tensor latent = (0.5 * hashed("latent_w", {1, latent_size})).to(DType::f32).to(dtype);
  const Frozen frozen = frozen_networks(dtype);
  Record record;
  record.add("input/image/image", input);
  Networks nets = hashed_networks(dtype);
  const Current now = step1(record, nets, frozen, input);
  step2(record, nets, frozen, now, latent, matrix(of_step2.at("views"), dtype), matrix(of_step2.at("lights"), dtype));
  nets = hashed_networks(dtype);  // the trace's steps all start from the same weights, a fit's go on from each other
  step3(record, nets, frozen, input, pictures(of_step3.at("images"), dtype, false), pictures(of_step3.at("masks"), dtype, true));
  return record.values;
}

// One number for each loss, and for each network the length of its gradient and of its first update.
std::map<std::string, double> summary(const NamedTensors& values) {
  std::map<std::string, double> out;
  for (const auto& [name, x] : values) {
    const double first = x.reshape({Tensor::infer}).to(DType::f64).data<double>()[0];
    if (name.find("/loss/") != std::string::npos) out[name] = first;
    const bool gradient = name.find("/grad/") != std::string::npos;
    if (!gradient && name.find("/update/") == std::string::npos) continue;
    double& length = out[name.substr(0, name.find("/network."))];
    length = std::hypot(length, first);
  }
  return out;
}

}  // namespace

// Prints the table. All that was computed goes to method_f64.safetensors and method_f32.safetensors in the build folder.
int main() {
  try {
    const NamedTensors f64 = run(DType::f64), f32 = run(DType::f32);
    write_safetensors(G2S_BUILD_DIR "/method_f64.safetensors", f64);
    write_safetensors(G2S_BUILD_DIR "/method_f32.safetensors", f32);
    const SafetensorsFile file(golden + "synface64.safetensors");
    NamedTensors wanted;
    for (const auto& entry : file.entries())
      if (entry.name.starts_with("f64/step")) wanted.emplace_back(entry.name.substr(4), file.get(entry.name));
    auto a = summary(f64), b = summary(f32);
    int differ = 0;
    std::printf("%-32s %14s %14s %14s\n", "", "reference", "f64", "f32");
    for (const auto& [name, want] : summary(wanted)) {
      // The bounds of the traces' README: a loss to 1e-4, a gradient to 2e-3, an update, which is its sign, to 1e-2.
      const double bound = name.find("/loss/") != std::string::npos ? 1e-4 : name.find("/grad/") != std::string::npos ? 2e-3 : 1e-2;
      const bool near = std::abs(a[name] - want) <= bound * want && std::abs(b[name] - want) <= bound * want;
      std::printf("%-32s %14.8g %14.8g %14.8g%s\n", name.c_str(), want, a[name], b[name], near ? "" : "  differs");
      differ += near ? 0 : 1;
    }
    std::printf(differ == 0 ? "All agree.\n" : "%d differ.\n", differ);
    return differ == 0 ? 0 : 1;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "example_method: %s\n", e.what());
    return 1;
  }
}
