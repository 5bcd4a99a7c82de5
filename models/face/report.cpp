#include "models/face/report.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "engine/image.h"

namespace g2s {
namespace {

using nlohmann::json;
using Colour = std::array<std::uint8_t, 3>;

Colour colour_of(FaceState state) {
  if (state == FaceState::good) return {40, 220, 80};
  return state == FaceState::doubtful ? Colour{255, 200, 0} : Colour{255, 60, 60};
}

class Canvas {
 public:
  Canvas(Tensor pixels, double scale) : pixels_(std::move(pixels)), scale_(scale) {}

  // A disc about a point of the original picture; radius in pixels of the canvas.
  void disc(Point centre, double radius, Colour colour) {
    const double x = centre.x * scale_, y = centre.y * scale_;
    const std::int64_t h = pixels_.dim(1), w = pixels_.dim(2);
    const std::int64_t top = bounded(y - radius, h), bottom = bounded(y + radius + 1, h), left = bounded(x - radius, w),
                       right = bounded(x + radius + 1, w);
    for (std::int64_t i = top; i < bottom; ++i)
      for (std::int64_t j = left; j < right; ++j)
        if (std::hypot(static_cast<double>(j) + 0.5 - x, static_cast<double>(i) + 0.5 - y) <= radius)
          std::copy(colour.begin(), colour.end(), pixels_.mutable_data<std::uint8_t>() + (i * w + j) * 3);
  }
  void line(Point a, Point b, double thickness, Colour colour) {
    const double steps = std::ceil(length(b - a) * scale_) + 1;
    for (double i = 0; i <= steps; ++i) disc(a + i / steps * (b - a), thickness / 2, colour);
  }
  double thickness() const { return std::max(1.0, static_cast<double>(std::max(pixels_.dim(1), pixels_.dim(2))) / 400); }
  Tensor pixels() const { return pixels_; }
  double scale() const { return scale_; }

 private:
  static std::int64_t bounded(double v, std::int64_t n) {
    return static_cast<std::int64_t>(std::clamp(std::floor(v), 0.0, static_cast<double>(n)));
  }
  Tensor pixels_;
  double scale_;  // pixels of the canvas for one of the picture
};

void draw_face(Canvas& canvas, const Face& face) {
  const Colour colour = colour_of(face.state);
  const double thick = canvas.thickness(), right = face.left + face.width, bottom = face.top + face.height;
  const Corners box = {{{face.left, face.top}, {face.left, bottom}, {right, bottom}, {right, face.top}}};
  const double radius = std::clamp(face.width * canvas.scale() / 150, 0.6, 2 * thick);
  for (const FacePoint& p : face.points) canvas.disc({p.x, p.y}, radius, colour);
  for (std::size_t i = 0; i < 4; ++i) {
    canvas.line(box[i], box[(i + 1) % 4], thick, {255, 255, 255});
    canvas.line(face.frame[i], face.frame[(i + 1) % 4], i == 3 ? 3 * thick : thick, colour);
  }
}

double rounded(double v, double steps) { return std::round(v * steps) / steps; }
json pixels_of(Point p) { return {rounded(p.x, 100), rounded(p.y, 100)}; }

std::size_t number_of(const std::string& which) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(which.data(), which.data() + which.size(), number);
  if (error != std::errc() || end != which.data() + which.size() || number == 0) {
    fail(Errc::invalid_argument, "face", "'", which, "' is none of largest, all or a number from 1 on");
  }
  return number;
}

}  // namespace

Tensor draw_faces(const Tensor& pixels, const std::vector<Face>& faces) {
  const std::int64_t h = pixels.dim(1), w = pixels.dim(2), longer = std::max(h, w);
  const double scale = std::min(1.0, static_cast<double>(max_drawn_side) / static_cast<double>(longer));
  auto scaled = [scale](std::int64_t n) { return std::max<std::int64_t>(1, std::llround(static_cast<double>(n) * scale)); };
  Canvas canvas(resize_pixels(pixels, scaled(h), scaled(w)).clone(), scale);
  for (const Face& face : faces) draw_face(canvas, face);
  return canvas.pixels();
}

json face_json(const Face& face) {
  json frame = json::array(), points = json::array();
  for (Point p : face.frame) frame.push_back(pixels_of(p));
  for (const FacePoint& p : face.points) points.push_back({rounded(p.x, 100), rounded(p.y, 100), rounded(p.z, 100)});
  json out = {
      {"number", face.number},
      {"box", {rounded(face.left, 100), rounded(face.top, 100), rounded(face.width, 100), rounded(face.height, 100)}},
      {"score", rounded(face.score, 1e4)},
      {"presence", rounded(face.presence, 1e4)},
      {"pose", {{"yaw", rounded(face.pose.yaw, 100)}, {"pitch", rounded(face.pose.pitch, 100)}, {"roll", rounded(face.pose.roll, 100)}}},
      {"frame", frame},
      {"state", to_string(face.state)},
      {"points", points}};
  if (!face.remark.empty()) out["remark"] = face.remark;
  return out;
}

void check_face_choice(const std::string& which) {
  if (which != "all" && which != "largest") number_of(which);
}

std::vector<Face> choose_faces(const std::vector<Face>& faces, const std::string& which, const std::string& picture) {
  check_face_choice(which);
  if (which == "all" || faces.empty()) return faces;
  if (which == "largest") return {faces.front()};
  const std::size_t number = number_of(which);
  if (number > faces.size()) {
    fail(Errc::invalid_argument, picture, "has ", faces.size(), faces.size() == 1 ? " face" : " faces", ", there is none with the number ",
         number, " (`face`)");
  }
  return {faces[number - 1]};
}

}  // namespace g2s
