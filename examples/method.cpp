// GAN2Shape in one file, to be read from top to bottom beside the paper: "Do 2D GANs Know 3D Shape? Unsupervised
// 3D Shape Reconstruction from 2D Image GANs" (Pan et al., ICLR 2021, arXiv 2011.00844). docs/method.md tells the same
// in words and has every constant; its sections have the numbers that are named here.
//
// The method finds the 3D shape behind one image. It looks for a depth, an albedo (the colours without light), a view
// (where the camera is) and a light that together render to the image. One image alone allows many such answers. So a
// generator, a network that has learnt to draw objects of that kind, is asked for more images of the same object:
//
//   step 1  trains the albedo, so that the current shape renders to the image;
//   step 2  renders the shape from other views under other lights, crudely, and looks for what the generator can draw
//           that is nearest: realistic images with those views and lights;
//   step 3  trains depth, albedo, view and light to explain the image and all of those at once.
//
// A fit repeats each step some hundred times, and all three again for several stages. This program runs each of them
// once, for the preset `synface`, from weights that are made from their names. It prints what it computed in double
// (f64) and single precision (f32) beside what the authors' program did: the golden trace tests/golden/synface64.
//
// From the engine come tensors and gradients (engine/) and operators (kernels/*/X.h). From models/ come the three
// networks that are never trained: StyleGAN2's generator and discriminator, and LPIPS, which says how different two
// images look. All else is here. Images are [B,H,W,C] with values in [-1,1]; where B is 1, all others share that one.
// A `record` notes what was computed, for the comparison. The method does without.

#include <cmath>
#include <cstdio>
#include <functional>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "engine/autograd.h"
#include "engine/module.h"
#include "engine/safetensors.h"
#include "examples/golden_trace.h"
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
using example::Record;

namespace {

// ---- Constants of the preset (docs/method.md, sections 1 to 4) ----

constexpr int S = 64;             // images are S x S
constexpr int nf = 64;            // channels of the first layer of netD, netA, netV and netL
constexpr int groups = 16;        // of the first group norm of netD and netA
constexpr int code = 256;         // channels between the two halves of netD and netA
constexpr int encoder_nf = 32;    // channels of the first layer of netEnc
constexpr int latent_size = 512;  // numbers from which the generator draws an image

constexpr double min_depth = 0.9, max_depth = 1.1;                  // of the object, seen from the front
constexpr double border_depth = 0.7 * max_depth + 0.3 * min_depth;  // of the two columns at either side
constexpr double border_weight = 1.02;                              // how far they are pulled to it
constexpr double margin = (max_depth - min_depth) / 2;              // what turning may add to the depth's range
constexpr double centre_depth = 1;                                  // the object turns about (0, 0, 1)
constexpr double degree = std::numbers::pi / 180;

// A view is three rotations, about x, y and z, and a translation. A light is ambient, diffuse, dx, dy. The means are
// those of the trace, which are not the preset's.
const std::vector<double> view_units = {60 * degree, 60 * degree, 60 * degree, 0.1, 0.1, 0};
const std::vector<double> view_mean = {0.05, -0.12, 0.02, 0.15, -0.1, 0.01};  // in those units
const std::vector<double> light_mean = {-0.1, 0.1, 0.1, 0.3};
const std::vector<double> view_scale = {1, 1.2, 1, 1, 1, 1};  // step 2 turns objects further about y
constexpr double alpha = -0.4;                                // of step 2's random lights

constexpr double weight_lpips = 0.5, weight_smooth = 0.01, weight_offset = 0.01;  // of the losses
constexpr double learning_rate = 1e-4, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 5e-4;  // of Adam

// ---- The trained networks (section 1) ----

// A list of layers. Each call appends one, which takes the channels that the one before gives.
class Net {
 public:
  Net(std::string name, DType dtype) : name_(std::move(name)), dtype_(dtype) {}

  Net& conv(int out, int k, int stride, int pad) {
    const Tensor w = weight(".weight", {out, k, k, channels_}, channels_ * k * k);
    return layer(out, [=](const Tensor& x) { return conv2d(x, w, {.stride = stride, .pad = pad}); });
  }
  Net& deconv(int out, int k, int stride, int pad) {  // transposed: `stride` times larger
    const Tensor w = weight(".weight", {channels_, k, k, out}, channels_ * k * k);
    return layer(out, [=](const Tensor& x) { return conv_transpose2d(x, w, {.stride = stride, .pad = pad}); });
  }
  Net& norm(int group_count) {
    const Tensor w = weight(".weight", {channels_}), b = weight(".bias", {channels_});
    return layer(channels_, [=](const Tensor& x) { return group_norm(x, group_count, w, b); });
  }
  // y = conv(relu(conv(r))) + conv(pool(r)) + bias, where r = relu(x); half the size.
  Net& residual_down(int out) {
    const Tensor w1 = weight(".conv1.weight", {out, 3, 3, channels_}, channels_ * 9);
    const Tensor w2 = weight(".conv2.weight", {out, 3, 3, out}, out * 9);
    const Tensor shortcut = weight(".conv_sc.weight", {out, 1, 1, channels_}, channels_);
    const Tensor b = weight(".conv_sc.bias", {out});
    return layer(out, [=](const Tensor& x) {
      const Tensor r = g2s::relu(x), h = g2s::relu(conv2d(r, w1, {.stride = 2, .pad = 1}));
      return conv2d(h, w2, {.pad = 1}) + conv2d(avg_pool2d(r, 2), shortcut) + b;
    });
  }
  Net& relu() { return layer(channels_, g2s::relu); }
  Net& leaky_relu() { return layer(channels_, [](const Tensor& x) { return g2s::leaky_relu(x, 0.2); }); }
  Net& tanh() { return layer(channels_, g2s::tanh); }
  Net& upsample() { return layer(channels_, [](const Tensor& x) { return resize_nearest(x, 2 * x.dim(1), 2 * x.dim(2)); }); }
  Net& flatten() { return layer(channels_, [](const Tensor& x) { return x.reshape({x.dim(0), Tensor::infer}); }); }

  Tensor operator()(const Tensor& x) const {
    Tensor h = x;
    for (const auto& apply : layers_) h = apply(h);
    return h;
  }
  const std::string& name() const { return name_; }
  const std::vector<Parameter>& weights() const { return weights_; }
  const std::vector<int>& fan_in() const { return fan_in_; }

 private:
  // Gradients are taken to it, and Adam changes it in place. Names are those of PyTorch: network.0.weight, 0 being the
  // layer's place in the list. fan_in: of a convolution, input channels times k^2.
  Tensor weight(const std::string& name, const Shape& shape, int fan_in = 0) {
    const Tensor value = Tensor::zeros(shape, dtype_).set_requires_grad();
    const ParameterKind kind = shape.rank() == 4 ? ParameterKind::conv : ParameterKind::plain;
    weights_.push_back({"network." + std::to_string(layers_.size()) + name, kind, value});
    fan_in_.push_back(fan_in);
    return value;  // copies of a tensor are handles to the same numbers
  }
  Net& layer(int out, std::function<Tensor(const Tensor&)> apply) {
    channels_ = out;
    layers_.push_back(std::move(apply));
    return *this;
  }

  std::string name_;
  DType dtype_;
  int channels_ = 3;  // of what the last layer gives; the image's at first
  std::vector<Parameter> weights_;
  std::vector<int> fan_in_;
  std::vector<std::function<Tensor(const Tensor&)>> layers_;
};

// netD and netA: an image of S = 64 pixels shrinks to 32, 16, 8, 4 and to one, and grows again.
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

// netV and netL: an image to a few numbers in [-1,1].
Net encoder(const std::string& name, int out, DType dtype) {
  Net net(name, dtype);
  for (int i = 0; i < 4; ++i) net.conv(nf << i, 4, 2, 1).relu();
  return net.conv(8 * nf, 4, 1, 0).relu().conv(out, 1, 1, 0).tanh().flatten();
}

// netEnc: an image to a vector, where the generator's mapping network begins (see step 2).
Net residual_encoder(const std::string& name, DType dtype) {
  Net net(name, dtype);
  net.conv(encoder_nf, 4, 2, 1);
  for (int i = 1; i < 4; ++i) net.residual_down(encoder_nf << i);
  return net.relu().conv(16 * encoder_nf, 4, 1, 0).relu().conv(latent_size, 1, 1, 0).flatten();
}

struct Networks {
  Net depth, albedo, view, light, offset;  // netD, netA, netV, netL, netEnc

  explicit Networks(DType dtype)
      : depth(encoder_decoder("netD", 1, dtype)), albedo(encoder_decoder("netA", 3, dtype).tanh()),
        view(encoder("netV", 6, dtype)), light(encoder("netL", 4, dtype)), offset(residual_encoder("netEnc", dtype)) {}
};

struct Frozen {
  StyleGan2Generator generator;
  StyleGan2Discriminator discriminator;
  Lpips lpips;
};

// ---- Depth, camera and normals (section 2) ----

Tensor row(const std::vector<double>& values, DType dtype) {  // [1,n]
  return Tensor::from(values, {1, static_cast<std::int64_t>(values.size())}).to(dtype);
}

// The canonical depth, which is the object's seen from the front, from netD's output r:
//   d' = (max + min)/2 + (max - min)/2 tanh(r - mean r),   d = d' (1 - b) + b border_depth,
// where b is border_weight in the two columns at either side and 0 elsewhere.  [B,S,S,1] -> [B,S,S,1]
Tensor canonical_depth(const Tensor& r) {
  const Tensor d = (max_depth + min_depth) / 2 + (max_depth - min_depth) / 2 * tanh(r - mean(r, {1, 2, 3}, true));
  const Tensor b = pad(Tensor::zeros({1, 1, S - 4, 1}, r.dtype()), 2, 2, 2, border_weight);
  return d * (1 - b) + b * border_depth;
}

// A pinhole camera with a field of view of 10 degrees. A pixel's place is (u, v) in [-1,1]^2, with the corner pixels at
// the corners. It is seen along the ray (u h, v h, 1), where h is half the width of what is seen at depth 1.
const double h = std::tan(10 * degree / 2);

// The point that a pixel shows, d being its depth: p = d (u h, v h, 1).  [B,S,S,1] -> [B,S,S,3]
Tensor points(const Tensor& depth) {
  std::vector<double> rays;
  auto place = [](int pixel) { return 2.0 * pixel / (S - 1) - 1; };
  for (int y = 0; y < S; ++y)
    for (int x = 0; x < S; ++x) rays.insert(rays.end(), {place(x) * h, place(y) * h, 1});
  return depth * Tensor::from(rays, {1, S, S, 3}).to(depth.dtype());
}

// The place where a point is seen: (u, v) = (x, y) / (z h).  [B,S,S,3] -> [B,S,S,2]
Tensor project(const Tensor& p) { return slice(p, 3, 0, 2) / (slice(p, 3, 2) * h); }

// R = Rz Ry Rx for the angles about x, y and z.  [B,3] -> [B,3,3]
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

// How the object stands before the camera: q = R (p - c) + c + T, where c = (0, 0, centre_depth) and a view [B,6] is
// three angles and T. A tensor of points has them as rows, so R is multiplied from the right, transposed.
struct Pose {
  Tensor R, T, c;

  explicit Pose(const Tensor& view)
      : R(rotation(slice(view, 1, 0, 3))), T(slice(view, 1, 3, 6).reshape({view.dim(0), 1, 3})),
        c(row({0, 0, centre_depth}, view.dtype())) {}

  Tensor apply(const Tensor& p) const { return shaped(matmul(rows(p) - c, R, false, true) + c + T); }
  Tensor undo(const Tensor& q) const { return shaped(matmul(rows(q) - T - c, R) + c); }

 private:
  static Tensor rows(const Tensor& p) { return p.reshape({p.dim(0), S * S, 3}); }
  static Tensor shaped(const Tensor& rows) { return rows.reshape({rows.dim(0), S, S, 3}); }
};

// Normals of the surface: n = a x b / |a x b|, where a and b lead from the point that one neighbour of a pixel shows to
// that of the opposite one, a along x and b along y. The outermost pixels have (0, 0, 1).  [B,S,S,1] -> [B,S,S,3]
Tensor normals(const Tensor& depth) {
  const Tensor p = points(depth), middle_rows = slice(p, 1, 1, S - 1), middle_columns = slice(p, 2, 1, S - 1);
  const Tensor a = slice(middle_rows, 2, 2, S) - slice(middle_rows, 2, 0, S - 2);
  const Tensor b = slice(middle_columns, 1, 2, S) - slice(middle_columns, 1, 0, S - 2);
  auto component = [&](int i, int j, double at_border) {  // of a x b
    const Tensor n = slice(a, 3, i) * slice(b, 3, j) - slice(a, 3, j) * slice(b, 3, i);
    return pad(pad(n, 1, 1, 1, at_border), 2, 1, 1, at_border);
  };
  const Tensor n = concat({component(1, 2, 0), component(2, 0, 0), component(0, 1, 1)}, 3);
  return n / (sqrt(sum(square(n), {3}, true)) + 1e-7);
}

// ---- Light, and the image (section 3) ----

struct Light {
  Tensor ambient, diffuse, direction;  // [N,1,1,1], [N,1,1,1], [N,1,1,3] of length 1
};

Tensor direction_of(const Tensor& dx_dy) {
  const Tensor d = pad(dx_dy, 1, 0, 1, 1);  // (dx, dy, 1)
  return (d / sqrt(sum(square(d), {1}, true))).reshape({d.dim(0), 1, 1, 3});
}

// Of a light l [N,4]: ambient = l0/2 + 1/2, diffuse = l1/2 + 1/2, direction = (l2, l3, 1) / |(l2, l3, 1)|.
Light light_of(const Tensor& l) {
  const Tensor strength = (slice(l, 1, 0, 2) / 2 + 0.5).reshape({l.dim(0), 1, 1, 2});
  return {slice(strength, 3, 0), slice(strength, 3, 1), direction_of(slice(l, 1, 2, 4))};
}

// The object without view and light, seen from the front.
struct Object {
  Tensor depth, normal, albedo;  // [1,S,S,1], [1,S,S,3], [1,S,S,3]

  Object(const Tensor& d, const Tensor& a) : depth(d), normal(normals(d)), albedo(a) {}
  Object mirrored() const { return {flip(depth, 2), flip(albedo, 2)}; }
};

struct Rendering {
  Tensor diffuse, shading, texture;  // seen from the front: [N,S,S,1], [N,S,S,1], [N,S,S,3]
  Tensor depth, valid, grid, image;  // seen by the camera: [N,S,S,1], [N,S,S,1], [N,S,S,2], [N,S,S,3]
};

// The object in N views [N,6], in radians and distances, under as many lights.
Rendering render(const Object& object, const Tensor& view, const Light& light) {
  Rendering r;
  // shading = ambient + diffuse max(0, n . direction), texture = albedo times shading, with colours from 0 to 1.
  r.diffuse = clamp(sum(object.normal * light.direction, {3}, true), 0);
  r.shading = light.ambient + light.diffuse * r.diffuse;
  r.texture = (object.albedo / 2 + 0.5) * r.shading * 2 - 1;
  // The points of all pixels are the corners of a mesh of 2 (S-1)^2 triangles. It is turned and drawn, and gives the
  // depth that the camera sees, or max_depth + margin where it sees nothing. Valid are all other pixels.
  const Pose pose(view);
  const Pinhole camera = {(S - 1) / 2.0 / h, (S - 1) / 2.0, (S - 1) / 2.0};  // in pixels
  r.depth = rasterize_depth_mesh(pose.apply(points(object.depth)),
                                 {.camera = camera, .clamp_lo = min_depth - margin, .clamp_hi = max_depth + margin});
  r.valid = less(r.depth, max_depth + margin);
  // Turned back, the point that a pixel shows says where in the texture to look.
  r.grid = project(pose.undo(points(r.depth)));
  r.image = clamp(grid_sample(r.texture, r.grid), -1, 1);
  return r;
}

// ---- Losses (section 4) ----

// sum |a - b| m / sum m, where the mask m counts once for each channel.
Tensor masked_l1(const Tensor& a, const Tensor& b, const Tensor& m) {
  return sum(abs(a - b) * m) / (sum(m) * static_cast<double>(a.dim(3)));
}

// The sum of that over the discriminator's first four blocks, whose outputs are called features. Each halves the size,
// so the mask is averaged.
Tensor feature_l1(const std::vector<Tensor>& a, const std::vector<Tensor>& b, const Tensor& mask) {
  Tensor total = Tensor::scalar(0, mask.dtype()), m = mask;
  for (std::size_t i = 0; i < a.size(); ++i) {
    m = avg_pool2d(m, 2);
    total = total + masked_l1(a[i], b[i], m);
  }
  return total;
}

// mean |dxx| + mean |dxy| + mean |dyx| + mean |dyy|: second differences of neighbours along x and y.
Tensor smoothness(const Tensor& x) {
  auto d = [](const Tensor& y, int axis) { return slice(y, axis, 1, y.dim(axis)) - slice(y, axis, 0, y.dim(axis) - 1); };
  Tensor total = Tensor::scalar(0, x.dtype());
  for (int first : {1, 2})
    for (int second : {1, 2}) total = total + mean(abs(d(d(x, first), second)));
  return total;
}

// How badly the object explains images [N,S,S,3], each with its view and light: the sum over its copies of
//   masked L1 + 0.5 LPIPS,   where the mask is what is seen of all copies, times `masks`.
// There is one copy, or two: a face has two equal sides, so its mirror image must explain the images as well.
struct Explanation {
  std::vector<Rendering> seen;    // by copy
  std::vector<Tensor> l1, lpips;  // by copy
  Tensor valid, loss;
};

Explanation explain(const Lpips& lpips, const std::vector<Object>& copies, const Tensor& view, const Light& light,
                    const Tensor& images, const Tensor& masks) {
  Explanation e;
  e.valid = Tensor::full(masks.shape(), 1, masks.dtype());
  e.loss = Tensor::scalar(0, masks.dtype());
  for (const Object& copy : copies) {
    e.seen.push_back(render(copy, view, light));
    e.valid = e.valid * e.seen.back().valid;
  }
  const Tensor m = e.valid * masks;
  for (const Rendering& r : e.seen) {
    e.l1.push_back(masked_l1(r.image, images, m));
    e.lpips.push_back(mean(lpips.distance(r.image * m, images * m)));
    e.loss = e.loss + e.l1.back() + weight_lpips * e.lpips.back();
  }
  return e;
}

// ---- Adam (section 4) ----

// Update n = 1, 2, .. of a weight x by its gradient g:
//   g' = g + weight_decay x,   m = beta1 m + (1 - beta1) g',   v = beta2 v + (1 - beta2) g'^2,
//   x = x - learning_rate (m / (1 - beta1^n)) / (sqrt(v / (1 - beta2^n)) + epsilon).
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

// One update of networks, so that a loss becomes smaller. A fit has one optimiser for all iterations of a step.
void train(Record& record, const std::string& step, const std::vector<Net*>& nets, const Tensor& loss) {
  std::vector<Tensor> weights, before;
  for (Net* net : nets)
    for (const Parameter& w : net->weights()) weights.push_back(w.value), before.push_back(w.value.clone());
  const std::vector<Tensor> gradients = grad({loss}, weights);
  Optimiser(weights).step(gradients);
  std::size_t at = 0;
  for (Net* net : nets) {
    record.add_update(step, net->name(), net->weights(), &before[at], &gradients[at], learning_rate);
    at += net->weights().size();
  }
}

// ---- The three steps (section 4) ----

// Views [N,6] in radians and distances from netV's output, and lights [N,4] from netL's.
Tensor view_from(const Tensor& raw) { return (raw + row(view_mean, raw.dtype())) * row(view_units, raw.dtype()); }
Tensor light_from(const Tensor& raw) { return raw + row(light_mean, raw.dtype()); }

Tensor everywhere(DType dtype) { return Tensor::full({1, S, S, 1}, 1, dtype); }  // a mask

// What step 2 draws its images from: the object and its light as step 1 saw them last.
struct Current {
  Object object;
  Tensor light;  // [1,4]
};

// Step 1 trains netA, so that the object explains the input:
//   explanation of the input + 0.01 (smoothness of depth + smoothness of diffuse shading).
// What is not trained is cut off by detach().
Current step1(Record& record, Networks& nets, const Frozen& frozen, const Tensor& input) {
  const Tensor view = view_from(nets.view(input)).detach(), light = light_from(nets.light(input)).detach();
  const Object object(canonical_depth(nets.depth(input)).detach(), nets.albedo(input));
  const Explanation e = explain(frozen.lpips, {object}, view, light_of(light), input, everywhere(input.dtype()));
  const Rendering& r = e.seen[0];
  const Tensor smooth_depth = smoothness(object.depth), smooth_diffuse = smoothness(r.diffuse);
  const Tensor total = e.loss + weight_smooth * (smooth_depth + smooth_diffuse);
  train(record, "step1", {&nets.albedo}, total);

  record.add("step1/loss/", {{"l1", e.l1[0]}, {"lpips", e.lpips[0]}, {"total", total}, {"smooth_depth", smooth_depth},
                             {"smooth_diffuse", smooth_diffuse}, {"smooth", smooth_depth + smooth_diffuse}});
  record.add("step1/image/", {{"depth", object.depth}, {"albedo", object.albedo}, {"normal", object.normal},
                              {"diffuse", r.diffuse}, {"shading", r.shading}, {"texture", r.texture},
                              {"warped_depth", r.depth}, {"grid", r.grid}, {"valid", r.valid}, {"recon", r.image}});
  record.add("step1/vector/", {{"view", view}, {"light", light}});
  return {Object(object.depth, object.albedo.detach()), light};
}

// Step 2 trains netEnc to find, for an image of the object as it is now, the nearest one that the generator can draw:
//   masked L1 + L1 of the discriminator's features + 0.01 mean(offset^2).
// Views and lights are random: views [B,6] in units of netV, lights [B,3] as (dx, dy, a).
void step2(Record& record, Networks& nets, const Frozen& frozen, const Current& now, const Tensor& latent,
           const Tensor& views, const Tensor& lights) {
  // Pseudo images: the object under the random views and lights. A light comes from (dx, dy, 1); it is the object's own
  // but for `alpha a` more ambient and `a` more diffuse light. The mask is where the object is.
  const DType dtype = views.dtype();
  const Tensor view = views * row(view_scale, dtype) * row(view_units, dtype);
  const Tensor a = slice(lights, 1, 2).reshape({lights.dim(0), 1, 1, 1});
  const Light own = light_of(now.light);
  const Light light = {own.ambient + alpha * a, own.diffuse + a, direction_of(slice(lights, 1, 0, 2))};
  const Rendering r = render(now.object, view, light);
  const Tensor pseudo = r.image, mask = grid_sample(everywhere(dtype), r.grid, Sampling::nearest);

  // Projected images: what the generator G draws from the input's latent w, moved by an offset. The offset comes from
  // netEnc through the generator's mapping network M, whose outputs are latents of realistic images:
  //   offset = M(netEnc(pseudo) - netEnc(G(w))) - M(0),   projected = G(w + offset).
  // This is the preset's F1_d = 8; others take the last layers of M alone (section 4).
  auto G = [&](const Tensor& w) { return clamp(frozen.generator.synthesis(w), -1, 1); };
  auto M = [&](const Tensor& x) { return frozen.generator.mapping(x); };
  const Tensor enc = nets.offset(pseudo), enc_gan = nets.offset(G(latent));
  const Tensor offset = M(enc - enc_gan) - M(Tensor::zeros({1, latent_size}, dtype));
  const Tensor projected = G(latent + offset);

  const StyleGan2Discriminator& D = frozen.discriminator;
  const Tensor l1 = masked_l1(projected, pseudo, mask), disc = feature_l1(D.features(projected), D.features(pseudo), mask);
  const Tensor latent_norm = mean(square(offset));
  const Tensor total = l1 + disc + weight_offset * latent_norm;
  train(record, "step2", {&nets.offset}, total);

  record.add("step2/loss/", {{"l1", l1}, {"disc", disc}, {"latent_norm", latent_norm}, {"total", total}});
  record.add("step2/image/", {{"pseudo", pseudo}, {"mask", mask}, {"projected", projected}});
  record.add("step2/vector/", {{"enc", enc}, {"enc_gan", enc_gan}, {"offset", offset}});
}

// Notes losses and images of both copies.
void add_explanation(Record& record, const std::string& step, const Explanation& e) {
  auto both = [&](Tensor Rendering::*member) { return concat({e.seen[0].*member, e.seen[1].*member}, 0); };
  record.add(step + "/loss/", {{"l1", e.l1[0]}, {"l1_flip", e.l1[1]}, {"lpips", e.lpips[0]}, {"lpips_flip", e.lpips[1]}});
  record.add(step + "/image/", {{"recon", both(&Rendering::image)},
                                {"warped_depth", both(&Rendering::depth)},
                                {"valid", concat({e.valid, e.valid}, 0)}});
}

// Step 3 trains netA, netD, netV and netL, so that one object explains the input and samples, which are projected images
// of step 2 with their masks. Each image has a view and a light of its own, and the mirror image must explain it too:
//   step 1's loss of the input + explanation of the samples.
void step3(Record& record, Networks& nets, const Frozen& frozen, const Tensor& input, const Tensor& samples,
           const Tensor& masks) {
  const Object object(canonical_depth(nets.depth(input)), nets.albedo(input)), mirror = object.mirrored();
  const Tensor view = view_from(nets.view(input)), light = light_from(nets.light(input));
  const Explanation first = explain(frozen.lpips, {object, mirror}, view, light_of(light), input, everywhere(input.dtype()));
  const Tensor smooth_depth = smoothness(concat({object.depth, mirror.depth}, 0));
  const Tensor smooth_diffuse = smoothness(concat({first.seen[0].diffuse, first.seen[1].diffuse}, 0));
  const Tensor input_total = first.loss + weight_smooth * (smooth_depth + smooth_diffuse);

  const Tensor raw_view = nets.view(samples), raw_light = nets.light(samples);
  const Explanation others = explain(frozen.lpips, {object, mirror}, view_from(raw_view), light_of(light_from(raw_light)),
                                     samples, masks);
  const Tensor total = input_total + others.loss;
  train(record, "step3", {&nets.albedo, &nets.depth, &nets.view, &nets.light}, total);

  add_explanation(record, "step3_input", first);
  record.add("step3_input/loss/", {{"smooth_depth", smooth_depth}, {"smooth_diffuse", smooth_diffuse},
                                   {"smooth", smooth_depth + smooth_diffuse}, {"total", input_total}});
  record.add("step3_input/image/", {{"depth", concat({object.depth, mirror.depth}, 0)},
                                    {"normal", concat({object.normal, mirror.normal}, 0)}});
  record.add("step3_input/vector/", {{"view", view}, {"light", light}});
  add_explanation(record, "step3", others);
  record.add("step3/loss/", {{"total", total}});
  record.add("step3/vector/", {{"netV", raw_view}, {"netL", raw_light}});
}

// ---- The golden trace (examples/golden_trace.h) ----

Networks hashed_networks(DType dtype) {
  Networks nets(dtype);
  auto fill = [](const Net& net, double last_scale, bool smooth) {
    example::fill_hashed(net.name(), net.weights(), net.fan_in(), last_scale, smooth);
  };
  fill(nets.depth, 0.05, true), fill(nets.albedo, 0.15, true);
  fill(nets.view, 0.2, false), fill(nets.light, 0.2, false), fill(nets.offset, 0.4, false);
  return nets;
}

Frozen frozen_networks(DType dtype) {
  GeneratorConfig g{.size = S, .style_dim = latent_size, .channels = {128, 128, 128, 64, 32}};  // at 4, 8, .. 64 pixels
  DiscriminatorConfig d{.size = S, .channels = {32, 64, 128, 128, 128}};                        // at 64, 32, .. 4
  ParameterMap of_g = generator_parameters(g), of_d = discriminator_parameters(d);
  fill_hashed_generator(of_g, 0.4);
  fill_hashed_discriminator(of_d);
  const SafetensorsFile of_lpips(G2S_SOURCE_DIR "/assets/lpips_vgg.safetensors");
  return {StyleGan2Generator(g, of_g.to(dtype)), StyleGan2Discriminator(d, of_d.to(dtype)), Lpips(of_lpips, dtype)};
}

Record run(DType dtype) {
  const example::Inputs in = example::golden_inputs(dtype);
  const Frozen frozen = frozen_networks(dtype);
  Networks nets = hashed_networks(dtype);
  Record record;
  const Current now = step1(record, nets, frozen, in.image);
  step2(record, nets, frozen, now, in.latent, in.views, in.lights);
  // A fit goes on with the networks that step 1 has trained, and with the images that step 2 has found. The trace starts
  // each step from the same networks and brings images of its own.
  nets = hashed_networks(dtype);
  step3(record, nets, frozen, in.image, in.samples, in.masks);
  return record;
}

}  // namespace

// All that was computed goes to method_f64.safetensors and method_f32.safetensors in the build folder.
int main() {
  try {
    const Record f64 = run(DType::f64), f32 = run(DType::f32);
    write_safetensors(G2S_BUILD_DIR "/method_f64.safetensors", f64.values());
    write_safetensors(G2S_BUILD_DIR "/method_f32.safetensors", f32.values());
    return example::agree_with_golden(f64, f32) ? 0 : 1;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "example_method: %s\n", e.what());
    return 1;
  }
}
