// From files, or pixels in memory, to what a fit takes: the image upright, square and at the method's size, the object's mask, the true depth.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/export.h"
#include "engine/image.h"
#include "models/face/finder.h"
#include "models/gan2shape/config.h"

namespace g2s G2S_EXPORTED {

enum class CropMode {
  automatic,  // a square image is only resized (and centre-cropped where the preset says so), any other is squared around the object
  object,     // every image is squared around the object
  none,       // the whole image, stretched if it is not square; no centre crop
};
CropMode crop_mode_from_name(const std::string& name);  // auto, object, none; throws listing them
const char* to_string(CropMode mode);

constexpr std::int64_t min_image_side = 32;

struct InputFiles {
  std::string image;
  std::string mask, truth;  // may be empty
  std::string face = {};    // which one, as in ReconstructionSettings, which says it if this is empty
};

// The same in memory, on the CPU. Errors name the picture and the mask.
struct InputPixels {
  Tensor rgb;    // u8 [1,H,W,3]
  Tensor alpha;  // u8 [1,H,W,1], or undefined
  Tensor mask;   // f32 [1,H,W,1] in [0,1], or undefined
};

// The part of the upright image that is used, in its pixels.
struct ImageBox {
  std::int64_t left = 0, top = 0, width = 0, height = 0;
  bool operator==(const ImageBox&) const = default;
};

// A decoded image with what belongs to it, all of one size.
struct LoadedInput {
  InputFiles names;  // in errors: the files, or "picture" and "mask"
  Image image;
  Tensor mask;   // f32 [1,H,W,1] in [0,1] as given or from the alpha channel; undefined: neither is there
  Tensor truth;  // f32 [1,H,W,1] true depth, 0 where there is none; undefined without a file
  std::string mask_source;  // "file", "given" in memory, "alpha" or empty
  std::optional<Face> face = {};  // whose frame image and mask are, see align_input; its coordinates are those of the upright picture before
  std::vector<std::string> mask_notes = {};  // how its file was understood
};

struct PreparedInput {
  Tensor image;             // f32 [1,S,S,3] in [-1,1]
  Tensor mask;              // f32 [1,S,S,1] in [0,1]
  Tensor wide_mask;         // f32 [1,S,S,1]: where the fit looks, if that is more than the object; or undefined
  Tensor truth;             // f32 [1,S,S,1], max_depth where there is none; or undefined
  Tensor photo;             // u8 [1,N,N,3]: what `image` was made from, at most max_photo_side pixels wide
  int original_size = 0;    // side of the image that a preset's centre crop is meant for; 0 without one
  ImageBox box;             // what was used of the image, or of the face's frame
  std::optional<Face> face = {};  // whose frame the image was cut from
  std::int64_t frame_side = 0;    // of that frame, in pixels, as `box` counts them
  std::string mask_source;  // "file", "given", "alpha", "landmarks" or "u2netp"
  std::vector<std::string> notes;  // what was done to the image, one clause each
};

constexpr std::int64_t max_photo_side = 2048;

// Reads and checks the files; throws naming the one at fault: unreadable, smaller than min_image_side, of another shape than the image, a
// truth that is not 16-bit grey, an empty mask.
LoadedInput load_input(const InputFiles& files);
LoadedInput load_input(const InputPixels& pixels);

// The picture as FFHQ shows faces: one input for each face that is chosen ("largest", "all" or a number, see choose_faces), which prepare_input
// takes as any square picture. The mask goes with it; at most max_photo_side pixels. Throws naming the picture if it shows no face, if none of
// those chosen is fit, or if there is a true depth, which cannot be turned.
std::vector<LoadedInput> align_input(const LoadedInput& input, const FaceFinder& find_faces, const std::string& which);

// Of what the method sees: top left, bottom left, bottom right, top right, in pixels of the upright picture.
Corners used_corners(const PreparedInput& input);

// Finds the object in an image f32 [H,W,3] in [-1,1]: f32 [H,W] of {0,1}.
using MaskFinder = std::function<Tensor(const Tensor&)>;
// What of the image is found to be the object in a box of it, f32 [1,size,size,1].
Tensor found_in_box(const LoadedInput& input, const ImageBox& box, std::int64_t size, const MaskFinder& find_mask);
// Throws if there is no object to be seen in what is left of the image.
PreparedInput prepare_input(const LoadedInput& input, const Config& config, CropMode mode, const MaskFinder& find_mask);

// What of a mask f32 [1,H,W,1] on the CPU is `threshold` or more: all of it fits in. Of width 0 if nothing is.
ImageBox bounding_box(const Tensor& mask, float threshold);
// The square around an object: as large as heads_gt shows heads. mask f32 [1,H,W,1].
ImageBox object_box(const Tensor& mask);

// A true depth in the method's encoding, f32 [1,H,W,1], 0 where there is none. Throws unless the file is 16-bit grey.
Tensor read_true_depth(const std::string& path);
// The same part of it at S x S, max_depth where there is none.
Tensor prepare_truth(const Tensor& depth, const ImageBox& box, const Config& config);

}  // namespace g2s
