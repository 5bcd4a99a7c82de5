#include "models/gan2shape/input.h"

#include <algorithm>
#include <cmath>

#include "engine/autograd.h"
#include "kernels/resize/resize.h"
#include "models/face/report.h"
#include "models/gan2shape/mask_file.h"

namespace g2s {
namespace {

// In heads_gt the box around a head is as high as the image and, on average, 0.8 of its width.
constexpr double object_share_of_width = 0.8;
// The presets with a centre crop were made for images of this size.
constexpr int centre_crop_original = 256;
// Objects are found on a copy no larger than this: the network looks at 320 x 320 pixels anyway.
constexpr std::int64_t max_search_side = 640;
constexpr float object_threshold = 0.5f, solid_threshold = 0.7f;

constexpr double far_truth = 1.1, truth_range = 0.2;

std::string size_text(std::int64_t width, std::int64_t height) { return str(width, " x ", height); }

void require_size(const std::string& name, const char* what, const Tensor& x, const Image& image, const std::string& picture) {
  if (x.dim(1) == image.height() && x.dim(2) == image.width()) return;
  fail(Errc::invalid_argument, name, "the ", what, " is ", size_text(x.dim(2), x.dim(1)), " pixels, but ", picture, " is ",
       size_text(image.width(), image.height()));
}

void require_side(const LoadedInput& in) {
  const std::int64_t w = in.image.width(), h = in.image.height();
  if (std::min(w, h) >= min_image_side) return;
  fail(Errc::invalid_argument, in.names.image, "the picture is ", size_text(w, h), " pixels, at least ", size_text(min_image_side, min_image_side),
       " are needed");
}

float largest(const Tensor& x) { return x.numel() ? *std::max_element(x.data<float>(), x.data<float>() + x.numel()) : 0.f; }

Tensor mask_to_pixels(const Tensor& mask) {
  Tensor pixels = Tensor::empty(mask.shape(), DType::u8);
  const float* from = mask.data<float>();
  std::uint8_t* to = pixels.mutable_data<std::uint8_t>();
  for (std::int64_t i = 0; i < mask.numel(); ++i) to[i] = static_cast<std::uint8_t>(from[i] * 255.f + 0.5f);
  return pixels;
}

Tensor pixels_to_mask(const Tensor& pixels) {
  Tensor mask = Tensor::empty(pixels.shape());
  const std::uint8_t* from = pixels.data<std::uint8_t>();
  float* to = mask.mutable_data<float>();
  for (std::int64_t i = 0; i < mask.numel(); ++i) to[i] = static_cast<float>(from[i]) / 255.f;
  return mask;
}

bool opaque(const Tensor& alpha) {
  const std::uint8_t* p = alpha.data<std::uint8_t>();
  return std::all_of(p, p + alpha.numel(), [](std::uint8_t v) { return v == 255; });
}

// Transparent pixels have arbitrary colours: they are shown on middle grey.
Tensor over_grey(const Tensor& rgb, const Tensor& alpha) {
  Tensor out = Tensor::empty(rgb.shape(), DType::u8);
  const std::uint8_t *colour = rgb.data<std::uint8_t>(), *a = alpha.data<std::uint8_t>();
  std::uint8_t* to = out.mutable_data<std::uint8_t>();
  for (std::int64_t i = 0; i < rgb.numel(); ++i) {
    int share = a[i / 3];
    to[i] = static_cast<std::uint8_t>((colour[i] * share + 128 * (255 - share) + 127) / 255);
  }
  return out;
}

// The mask that is there, else the one that transparency is. Shows transparent parts grey.
void choose_mask(LoadedInput& in, const char* source, const char* if_empty) {
  if (in.mask) {
    require_size(in.names.mask, "mask", in.mask, in.image, in.names.image == "picture" ? "the picture" : "the picture " + in.names.image);
    if (largest(in.mask) < solid_threshold) fail(Errc::invalid_argument, in.names.mask, if_empty);
    in.mask_source = source;
  } else if (in.image.alpha && !opaque(in.image.alpha)) {
    in.mask = pixels_to_mask(in.image.alpha);
    if (largest(in.mask) < solid_threshold) {
      fail(Errc::invalid_argument, in.names.image, "its alpha channel, which is the mask, is empty; give a `mask`");
    }
    in.mask_source = "alpha";
  }
  if (in.image.alpha) in.image.rgb = over_grey(in.image.rgb, in.image.alpha);
}

// A box of the image in the pixels of a smaller copy of it.
ImageBox scaled_box(const ImageBox& box, std::int64_t width, std::int64_t height, std::int64_t to_width, std::int64_t to_height) {
  auto scale = [](std::int64_t v, std::int64_t from, std::int64_t to) { return (2 * v * to + from) / (2 * from); };
  std::int64_t left = std::min(scale(box.left, width, to_width), to_width - 1), top = std::min(scale(box.top, height, to_height), to_height - 1);
  std::int64_t right = std::clamp(scale(box.left + box.width, width, to_width), left + 1, to_width);
  std::int64_t bottom = std::clamp(scale(box.top + box.height, height, to_height), top + 1, to_height);
  return {left, top, right - left, bottom - top};
}

Tensor crop(const Tensor& x, const ImageBox& box) { return crop_pixels(x, box.top, box.left, box.height, box.width); }

Tensor found_mask(const LoadedInput& input, const MaskFinder& find_mask) {
  const Tensor& rgb = input.image.rgb;
  std::int64_t h = rgb.dim(1), w = rgb.dim(2), longer = std::max(h, w);
  if (longer > max_search_side) {
    h = std::max<std::int64_t>(8, h * max_search_side / longer);
    w = std::max<std::int64_t>(8, w * max_search_side / longer);
  }
  Tensor small = pixels_to_image(resize_pixels(rgb, h, w)).reshape({h, w, 3});
  try {
    return find_mask(small).reshape({1, h, w, 1});
  } catch (const Error& e) {
    if (e.code() != Errc::invalid_argument) throw;
    fail(Errc::invalid_argument, input.names.image, "no object was found in the picture; give its `mask`");
  }
}

// A mask of the whole image, which may be smaller than it, in a box of the image.
Tensor in_box(const Tensor& mask, const LoadedInput& input, const ImageBox& box, std::int64_t size) {
  const ImageBox scaled = scaled_box(box, input.image.width(), input.image.height(), mask.dim(2), mask.dim(1));
  return resize(crop(mask, scaled), size, size).detach();
}

// As large as the frame is in the picture.
LoadedInput in_frame(const LoadedInput& input, const Face& face) {
  const double side = std::ceil(length(face.frame[3] - face.frame[0]));
  const std::int64_t size = std::clamp(static_cast<std::int64_t>(side), min_image_side, max_photo_side);
  LoadedInput out = input;
  out.face = face;
  out.image.rgb = align_face(input.image.rgb, face.frame, size);
  if (input.mask) out.mask = pixels_to_mask(align_face(mask_to_pixels(input.mask), face.frame, size));
  return out;
}

void note_origin(const LoadedInput& input, std::vector<std::string>& notes) {
  const ImageInfo& info = input.image.info;
  if (input.face) {
    notes.push_back(str("cut out and turned to the frame of the face at (", std::lround(input.face->left), ", ", std::lround(input.face->top), ")"));
    if (!input.face->remark.empty()) notes.push_back("the face may come out poorly: " + input.face->remark);
  }
  if (info.orientation != 1) notes.push_back(str("turned upright from EXIF orientation ", info.orientation));
  if (info.grey()) notes.push_back("greyscale: the three colours are alike");
  if (info.bit_depth == 16) notes.push_back("16 bits per colour rounded to 8");
  if (input.image.alpha && opaque(input.image.alpha)) notes.push_back("its alpha channel is opaque everywhere and ignored");
  else if (input.mask_source == "alpha") notes.push_back("its alpha channel is the mask, transparent parts are shown grey");
  else if (input.image.alpha) notes.push_back("transparent parts are shown grey, the mask is the one given");
  notes.insert(notes.end(), input.mask_notes.begin(), input.mask_notes.end());
}

ImageBox choose_box(const LoadedInput& input, const Config& config, CropMode mode, const Tensor& mask, std::vector<std::string>& notes) {
  const std::int64_t w = input.image.width(), h = input.image.height();
  if (mode == CropMode::object || (mode == CropMode::automatic && w != h)) {
    ImageBox small = object_box(mask);
    ImageBox box = small;
    if (mask.dim(1) != h || mask.dim(2) != w) {
      box = scaled_box(small, mask.dim(2), mask.dim(1), w, h);
      box.width = box.height = std::min({std::max(box.width, box.height), w, h});  // rounding may have made it oblong
      box.left = std::min(box.left, w - box.width);
      box.top = std::min(box.top, h - box.height);
    }
    notes.push_back(str("cut from ", size_text(w, h), " pixels to the ", size_text(box.width, box.height), " around the object at (", box.left, ", ",
                        box.top, ")"));
    return box;
  }
  if (w != h) {
    notes.push_back(str(size_text(w, h), " pixels stretched to a square"));
    return {0, 0, w, h};
  }
  if (config.crop == 0 || mode == CropMode::none) return {0, 0, w, h};
  // The preset's centre crop, in proportion.
  const std::int64_t side = std::max<std::int64_t>(1, (2 * w * config.crop + centre_crop_original) / (2 * centre_crop_original));
  const std::int64_t offset = (w - side) / 2;
  notes.push_back(str("cut from ", size_text(w, h), " pixels to the ", size_text(side, side), " in the centre, as the preset ", config.preset,
                      " does"));
  return {offset, offset, side, side};
}

}  // namespace

CropMode crop_mode_from_name(const std::string& name) {
  for (CropMode mode : {CropMode::automatic, CropMode::object, CropMode::none})
    if (name == to_string(mode)) return mode;
  fail(Errc::invalid_argument, "crop", "'", name, "' is none of auto, object, none");
}

const char* to_string(CropMode mode) { return mode == CropMode::automatic ? "auto" : mode == CropMode::object ? "object" : "none"; }

ImageBox bounding_box(const Tensor& mask, float threshold) {
  const std::int64_t h = mask.dim(1), w = mask.dim(2);
  const float* p = mask.data<float>();
  std::int64_t left = w, right = 0, top = h, bottom = 0;
  for (std::int64_t i = 0; i < h; ++i)
    for (std::int64_t j = 0; j < w; ++j) {
      if (p[i * w + j] < threshold) continue;
      left = std::min(left, j), right = std::max(right, j + 1);
      top = std::min(top, i), bottom = std::max(bottom, i + 1);
    }
  return right > left ? ImageBox{left, top, right - left, bottom - top} : ImageBox{};
}

ImageBox object_box(const Tensor& mask) {
  const std::int64_t h = mask.dim(1), w = mask.dim(2);
  const ImageBox box = bounding_box(mask, object_threshold);
  if (box.width == 0) fail(Errc::invalid_argument, "mask", "is empty");
  const double wanted = std::max(static_cast<double>(box.height), static_cast<double>(box.width) / object_share_of_width);
  const std::int64_t side = std::clamp<std::int64_t>(std::llround(wanted), 1, std::min(h, w));
  // Never beyond the image. Of an object that is higher than the square the upper part is kept: that is where a head is.
  const std::int64_t x = (2 * box.left + box.width - side) / 2, y = side >= box.height ? (2 * box.top + box.height - side) / 2 : box.top;
  return {std::clamp<std::int64_t>(x, 0, w - side), std::clamp<std::int64_t>(y, 0, h - side), side, side};
}

Tensor read_true_depth(const std::string& path) {
  ImageInfo info;
  Tensor value = read_grey(path, &info);
  if (info.bit_depth != 16 || info.channels != 1) {
    fail(Errc::format, path, "a true depth is a 16-bit grey picture, this has ", info.bit_depth, " bits and ", info.channels,
         info.channels == 1 ? " channel" : " channels");
  }
  Tensor depth = Tensor::empty(value.shape());
  const float* v = value.data<float>();
  float* d = depth.mutable_data<float>();
  for (std::int64_t i = 0; i < depth.numel(); ++i) d[i] = v[i] > 0 ? static_cast<float>(far_truth - truth_range * static_cast<double>(v[i])) : 0.f;
  return depth;
}

Tensor prepare_truth(const Tensor& depth, const ImageBox& box, const Config& config) {
  const std::int64_t s = config.size;
  Tensor part = crop(depth, box), out = Tensor::empty({1, s, s, 1});
  const float* p = part.data<float>();
  float* to = out.mutable_data<float>();
  // Each output pixel is the mean of the true depths below it, if they fill half of it; enlarging repeats pixels.
  auto begin = [s](std::int64_t i, std::int64_t n) { return i * n / s; };
  auto end = [s](std::int64_t i, std::int64_t n) { return n >= s ? ((i + 1) * n + s - 1) / s : i * n / s + 1; };
  for (std::int64_t i = 0; i < s; ++i)
    for (std::int64_t j = 0; j < s; ++j) {
      double sum = 0;
      std::int64_t count = 0, all = 0;
      for (std::int64_t y = begin(i, box.height); y < end(i, box.height); ++y)
        for (std::int64_t x = begin(j, box.width); x < end(j, box.width); ++x) {
          const float d = p[y * box.width + x];
          ++all;
          if (d <= 0) continue;
          sum += static_cast<double>(d);
          ++count;
        }
      to[i * s + j] = static_cast<float>(2 * count >= all ? sum / static_cast<double>(count) : config.max_depth);
    }
  return out;
}

LoadedInput load_input(const InputFiles& files) {
  LoadedInput in{files, read_image(files.image), {}, {}, {}, {}};
  require_side(in);
  if (!files.mask.empty()) {
    MaskFile mask = read_mask_file(files.mask);
    fit_mask(mask, files.mask, in.image.width(), in.image.height(), "the picture " + files.image);
    in.mask = mask.mask, in.mask_notes = mask.notes;
  }
  choose_mask(in, "file", "it is empty; `mask` takes a picture that is white where the object is");
  if (!files.truth.empty()) {
    in.truth = read_true_depth(files.truth);
    require_size(files.truth, "true depth", in.truth, in.image, "the picture " + files.image);
    if (largest(in.truth) <= 0) fail(Errc::invalid_argument, files.truth, "the true depth is empty");
  }
  return in;
}

LoadedInput load_input(const InputPixels& pixels) {
  auto require = [](const char* name, const Tensor& t, std::int64_t channels, DType dtype) {
    const Shape& s = t.shape();
    check(s.rank() == 4 && s[0] == 1 && s[3] == channels && t.dtype() == dtype && !t.on_cuda(), name, "must be ", dtype, " [1,H,W,", channels,
          "] on the CPU, is ", describe(t));
  };
  require("picture", pixels.rgb, 3, DType::u8);
  if (pixels.mask) require("mask", pixels.mask, 1, DType::f32);
  LoadedInput in{{"picture", "mask", ""}, {{}, pixels.rgb, pixels.alpha}, pixels.mask, {}, {}, {}};
  in.image.info = {.width = in.image.width(), .height = in.image.height(), .channels = pixels.alpha ? 4 : 3};
  if (pixels.alpha) {
    require("picture", pixels.alpha, 1, DType::u8);
    require_size("picture", "transparency", pixels.alpha, in.image, "the picture");
  }
  require_side(in);
  choose_mask(in, "given", "it is empty: nowhere is the object");
  return in;
}

std::vector<LoadedInput> align_input(const LoadedInput& input, const FaceFinder& find_faces, const std::string& which) {
  const std::string& picture = input.names.image;
  if (input.truth) fail(Errc::invalid_argument, input.names.truth, "a true depth cannot be turned with the face; set `align` to off");
  const std::vector<Face> chosen = choose_faces(find_faces(input.image.rgb), which, picture);
  if (chosen.empty()) fail(Errc::invalid_argument, picture, "no face was found in the picture; `align` off takes it as it is");
  std::vector<LoadedInput> out;
  for (const Face& face : chosen)
    if (face.state != FaceState::unfit) out.push_back(in_frame(input, face));
  if (out.empty()) fail(Errc::invalid_argument, picture, "the face cannot be used: ", chosen.front().remark, "; `align` off takes the picture as it is");
  return out;
}

Corners used_corners(const PreparedInput& in) {
  const double l = static_cast<double>(in.box.left), t = static_cast<double>(in.box.top);
  const double r = l + static_cast<double>(in.box.width), b = t + static_cast<double>(in.box.height);
  Corners out = {Point{l, t}, Point{l, b}, Point{r, b}, Point{r, t}};
  if (!in.face) return out;
  // The box is of the frame as it was cut.
  const Corners& frame = in.face->frame;
  const double side = static_cast<double>(in.frame_side);
  for (Point& p : out) p = frame[0] + (p.x / side) * (frame[3] - frame[0]) + (p.y / side) * (frame[1] - frame[0]);
  return out;
}

Tensor found_in_box(const LoadedInput& input, const ImageBox& box, std::int64_t size, const MaskFinder& find_mask) {
  NoGrad no_grad;
  return in_box(found_mask(input, find_mask), input, box, size);
}

PreparedInput prepare_input(const LoadedInput& input, const Config& config, CropMode mode, const MaskFinder& find_mask) {
  NoGrad no_grad;
  PreparedInput out;
  out.face = input.face;
  if (out.face) out.frame_side = input.image.width();
  note_origin(input, out.notes);
  const std::int64_t s = config.size;
  Tensor mask = input.mask ? input.mask : found_mask(input, find_mask);
  out.mask_source = input.mask ? input.mask_source : "u2netp";
  if (largest(mask) < object_threshold) {
    fail(Errc::invalid_argument, input.names.image, "no object was found in the picture; give its `mask`");
  }
  out.box = choose_box(input, config, mode, mask, out.notes);
  out.mask = in_box(mask, input, out.box, s);
  if (largest(out.mask) < solid_threshold) {
    fail(Errc::invalid_argument, input.names.image, "the mask is empty in the part of the picture that is used; give another `mask`");
  }
  Tensor photo = crop(input.image.rgb, out.box);
  out.image = pixels_to_image(resize_pixels(photo, s, s));
  const std::int64_t photo_side = std::min(std::max(out.box.width, out.box.height), max_photo_side);
  out.photo = resize_pixels(photo, photo_side, photo_side);
  if (input.truth) out.truth = prepare_truth(input.truth, out.box, config);
  if (config.crop > 0) out.original_size = centre_crop_original;
  return out;
}

}  // namespace g2s
