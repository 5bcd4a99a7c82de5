// The three steps of the method: forward() gives all that one computes, update() its losses and gradients for an optimiser of parameters().
// What a step does not train is computed outside the graph.
#pragma once

#include <vector>

#include "engine/export.h"
#include "kernels/adam/adam.h"
#include "models/face/finder.h"
#include "models/gan2shape/config.h"
#include "models/gan2shape/networks.h"
#include "models/gan2shape/pose_directions.h"
#include "models/gan2shape/scene.h"
#include "models/generator.h"
#include "models/lpips.h"
#include "models/stylegan2_discriminator.h"

namespace g2s G2S_EXPORTED {

// Losses before their weights, scalars; an undefined one does not apply.
struct Losses {
  Tensor l1, lpips, l1_flip, lpips_flip;
  Tensor smooth_depth, smooth_diffuse;  // their sum is the smoothness loss
  Tensor disc, latent_norm;             // step 2; disc is LPIPS where there is no discriminator
  Tensor base;                          // step 3 with directions: how far the shape is from the one that was given
  Tensor view;                          // step 3 with directions: how far views are from those that were asked for
  Tensor total;
};

struct LossTerm {
  const char* name;
  Tensor Losses::* value;
};
constexpr LossTerm loss_terms[] = {
    {"l1", &Losses::l1}, {"lpips", &Losses::lpips}, {"l1_flip", &Losses::l1_flip}, {"lpips_flip", &Losses::lpips_flip},
    {"smooth_depth", &Losses::smooth_depth}, {"smooth_diffuse", &Losses::smooth_diffuse},
    {"disc", &Losses::disc}, {"latent_norm", &Losses::latent_norm}, {"base", &Losses::base}, {"view", &Losses::view}, {"total", &Losses::total}};
// Those that apply, by name.
NamedTensors named(const Losses& losses, const std::string& prefix = "");

// The input image and what is constant about it.
struct Target {
  Tensor image;             // [1,S,S,3]
  Tensor mask;              // [1,S,S,1]: the object; the steps use it where the configuration says use_mask
  Tensor latent;            // [1,512] or [1,L,512]
  bool mask_is_hull = false;  // of the landmarks
  // With directions only. The prior makes the last four, and the rotations more exact.
  Tensor landmarks;         // [468,2] on the CPU: see FitInput; or undefined
  Tensor rotations;         // [1,2]: its pose, see pose_directions.h
  Tensor drawn_rotations;   // [1,2]: that of the generator's image for the latent
  Tensor turn;              // [2,2]: rotations times this are what to ask the directions for to get them; undefined: themselves
  Tensor base;              // [1,S,S,1]: what netD's output is added to
  Tensor canonical_mask, canonical_object;  // [1,S,S,1]: where mask_is_hull, the mask and the object's seen from the front
  int original_size = 0;    // of the image before crop and resize; with a crop only
  Tensor mean_latent;       // [1,512]; with truncation < 1 only
  Tensor gan_image;         // [1,S,S,3]: the generator's image for the latent, as the steps see images
  Tensor center_w, center_h;  // [1,512]: the mapping network at zero, and before its last F1_d + 1 modules

  Target to(Device device) const;
};

// One update of a step: the values of its losses and the gradients of the total to its parameters.
struct Update {
  Losses losses;
  std::vector<Tensor> gradients;
};

// Everything that a step needs, on one device. What it refers to outlives it.
struct Method {
  const Config& config;
  const Networks& networks;
  const Generator& generator;
  const StyleGan2Discriminator* discriminator;  // null: step 2 compares by LPIPS instead
  const Lpips& lpips;
  const PoseDirections* directions;  // null: netEnc alone finds the offsets of step 2
  const FaceFinder* faces;           // with directions: finds the landmarks that the prior follows
  Renderer renderer;

  Device device() const { return networks.netD.parameters().tensors().front().device(); }
  Method(const Config& c, const Networks& n, const Generator& g, const StyleGan2Discriminator* d, const Lpips& l, const PoseDirections* p = nullptr,
         const FaceFinder* f = nullptr)
      : config(c), networks(n), generator(g), discriminator(d), lpips(l), directions(p), faces(f), renderer(c.renderer()) {}
};

AdamOptions adam_options(const Config& config);

// The generator's image [B,gan_size,gan_size,3] for latents [B,512] or [B,L,512], truncated if the configuration says so; not clamped.
Tensor generate(const Method& method, const Target& target, const Tensor& latent);
// Cropped and resized as the input image was: [B,S,S,3].
Tensor at_input_size(const Method& method, const Target& target, const Tensor& generated);
// The same, clamped to [-1,1] before.
Tensor as_input(const Method& method, const Target& target, const Tensor& generated);
// Fills in gan_image, center_w and center_h from the latent, unless they are there.
void prepare_target(const Method& method, Target& target);

// netD's depth with the border blended, [1,S,S,1].
Tensor predict_depth(const Method& method, const Target& target);
// Network outputs plus the prior's means: views in radians [N,6], lights [N,4].
// rotations [N,2]: what is known of the views, instead of the prior's mean; or undefined. depth: the canonical shape, for those.
Tensor view_of(const Method& method, const Tensor& raw_view, const Tensor& rotations = {}, const Tensor& depth = {});
Tensor light_of(const Method& method, const Tensor& raw_light);

// What step 2 draws its images from: the last forward of step 1. Outside the graph.
struct Snapshot {
  Canonical canonical;
  Tensor light;       // [1,4]
  Tensor canon_mask;  // [1,S,S,1]; with use_mask only
};

// The input's mask seen from the canonical view, outside the graph. view [1,6] in radians.
Tensor canonical_mask(const Method& method, const Target& target, const Tensor& depth, const Tensor& view);

// Step 1 trains netA to reconstruct the input. All the rest is the same in every iteration and computed once.
class Step1 {
 public:
  // canon_mask: the one in force (with use_mask), made from this step's shape if undefined.
  Step1(const Method& method, const Target& target, bool flip, Tensor canon_mask);
  struct Result {
    Losses losses;
    Canonical canonical;
    std::vector<Rendering> copies;  // one, or two with flip
    Snapshot snapshot;
  };
  Result forward() const;
  struct Updated : Update {
    Snapshot snapshot;
  };
  Updated update() const;
  std::vector<Tensor> parameters() const;
  const Tensor& view() const { return view_; }    // [1,6] radians
  const Tensor& light() const { return light_; }  // [1,4]

 private:
  const Method& method_;
  const Target& target_;
  Canonical shape_;               // albedo undefined
  std::vector<Rendering> fixed_;  // texture and recon undefined; one, or two with flip
  Tensor view_, light_, canon_mask_, weight_, smooth_depth_, smooth_diffuse_;
  std::vector<Tensor> target_features_;
};

// Step 2 trains netEnc to give latent offsets whose images resemble renderings of the current shape.
class Step2 {
 public:
  Step2(const Method& method, const Target& target, Snapshot snapshot);
  struct Pseudo {
    Tensor image, mask;  // [B,S,S,3] clamped, [B,S,S,1]
    Tensor rotations;    // [B,2]; with directions only
  };
  // views [B,6] as the prior gives them, before view_scale; lights [B,3]: dx, dy, a.
  Pseudo render(const Tensor& views, const Tensor& lights) const;
  struct Projection {
    Tensor enc, enc_gan;  // netEnc of the images [B,512] and of the generator's image [1,512] (undefined without relative encoder)
    Tensor offset;        // [B,512]
    Tensor image;         // [B,S,S,3]
  };
  // rotations: of the images, as Pseudo has them.
  Projection project(const Tensor& images, const Tensor& rotations) const;
  struct Result {
    Losses losses;
    Pseudo pseudo;
    Projection projection;
  };
  Result forward(const Tensor& views, const Tensor& lights) const;
  // forward() and the gradients, with at most `part` images in memory at a time. Another `part` gives the same up to the order of the sums
  // over images: each is weighted as in the whole batch.
  Update update(const Tensor& views, const Tensor& lights, std::int64_t part) const;
  std::vector<Tensor> parameters() const;

 private:
  Tensor discriminator_difference(const Result& result, const Tensor& whole_mask) const;
  Tensor perceptual_difference(const Result& result) const;
  // The losses of the images [begin, end).
  Result forward_part(const Pseudo& all, std::int64_t begin, std::int64_t end) const;

  const Method& method_;
  const Target& target_;
  Snapshot snapshot_;
};

// Step 3 trains netA, netD, netV and netL on the input and a batch of projected images, which share one shape and albedo.
class Step3 {
 public:
  Step3(const Method& method, const Target& target, bool flip);
  struct Result {
    Losses input, batch;            // batch.total is the whole loss, input.total the input's part
    std::vector<Canonical> shapes;  // one, or two with flip: the mirror image
    std::vector<Rendering> copies;  // N = 1 + B: the input first
    Tensor raw_view, raw_light;     // [N,6], [N,4]: the networks' outputs, without means
    Tensor view, light;             // [N,6] radians, [N,4]
    Tensor canon_mask;
  };
  struct Samples {
    Tensor images, masks;  // [B,S,S,3], [B,S,S,1]
    Tensor rotations;      // [B,2]; with directions only
  };
  Result forward(const Samples& samples) const;
  struct PartedUpdate {
    Losses input, batch;
    Tensor canon_mask;
    std::vector<Tensor> gradients;
  };
  // As Step2::update; the input image counts as one of a part.
  PartedUpdate update(const Samples& samples, std::int64_t part) const;
  std::vector<Tensor> parameters() const;

 private:
  // Images, the input first, with what decides where each of them counts.
  struct Images {
    Tensor all, mask, weight;
    std::int64_t samples;  // of the whole batch
    bool with_input;
  };
  Canonical predict() const;                             // netD and netA
  Tensor with_input(const Tensor& rotations) const;      // those of the input before them; undefined stays so
  // netV, netL and the renderer; no losses
  Result render(const Canonical& shape, const Tensor& images, const Tensor& rotations) const;
  Images weigh(const Tensor& all, const Tensor& valid, const Tensor& masks) const;
  void add_losses(Result& result, const Images& images) const;
  Tensor valid_in_parts(const Canonical& shape, const Tensor& all, const Tensor& rotations, std::int64_t part) const;

  const Method& method_;
  const Target& target_;
  bool flip_;
  Tensor given_depth_;  // that of target.base alone
};

}  // namespace g2s
