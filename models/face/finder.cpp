#include "models/face/finder.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/autograd.h"
#include "kernels/elementwise/elementwise.h"

namespace g2s {
namespace {

// MediaPipe's: the square that the points' network looks at is so much larger than the box around a face.
constexpr double margin = 1.5;
// Of photographs the network says 28 to 56, of paintings 15 to 42, of sketches 2 to 30; of cats, and of faces a quarter turned or more,
// below 10.
constexpr double least_presence = 8, clear_presence = 14, sure_presence = 22;
constexpr int most_looks = 4;
constexpr double same_face = 0.3;
constexpr double least_width = 30;                                  // pixels of a face
constexpr double doubtful_yaw = 45, greatest_yaw = 60;              // degrees
constexpr double doubtful_outside = 0.02, greatest_outside = 0.25;  // shares of the points beyond the picture's edge

double angle_of(Point v) { return std::atan2(v.y, v.x); }

Corners square_of(const FaceBox& box, double turned) {
  return square_corners(box.centre, margin * std::max(box.width, box.height), angle_of(box.points[1] - box.points[0]) + turned);
}

// Around the points along the line of the eyes' outer corners.
Corners square_of(const FaceMesh& mesh) {
  const double angle = angle_of(Point{mesh[263].x - mesh[33].x, mesh[263].y - mesh[33].y}), c = std::cos(angle), s = std::sin(angle);
  double left = INFINITY, right = -INFINITY, top = INFINITY, bottom = -INFINITY;
  for (const FacePoint& p : mesh) {
    const double u = c * p.x + s * p.y, v = -s * p.x + c * p.y;
    left = std::min(left, u), right = std::max(right, u), top = std::min(top, v), bottom = std::max(bottom, v);
  }
  const double u = (left + right) / 2, v = (top + bottom) / 2;
  return square_corners({c * u - s * v, s * u + c * v}, margin * std::max(right - left, bottom - top), angle);
}

// What the network sees: from the reduced picture where that has two pixels for each of it.
Tensor seen_square(const Tensor& pixels, const Tensor& reduced, double reduction, const Corners& square, std::int64_t side) {
  if (length(square[3] - square[0]) < 2 * reduction * static_cast<double>(side)) return sample_square(pixels, square, side, true);
  Corners smaller = square;
  for (Point& p : smaller) p = 1 / reduction * p;
  return sample_square(reduced, smaller, side, true);
}

FaceBox box_of(const Face& face) {
  FaceBox box;
  box.centre = {face.left + face.width / 2, face.top + face.height / 2};
  box.width = face.width, box.height = face.height;
  return box;
}

void set_box(Face& face) {
  double left = INFINITY, right = -INFINITY, top = INFINITY, bottom = -INFINITY;
  for (const FacePoint& p : face.points) {
    left = std::min(left, p.x), right = std::max(right, p.x), top = std::min(top, p.y), bottom = std::max(bottom, p.y);
  }
  face.left = left, face.top = top, face.width = right - left, face.height = bottom - top;
}

double share_outside(const FaceMesh& points, double width, double height) {
  const auto outside =
      std::count_if(points.begin(), points.end(), [=](const FacePoint& p) { return p.x < 0 || p.y < 0 || p.x > width || p.y > height; });
  return static_cast<double>(outside) / static_cast<double>(face_points);
}

// What keeps a face from being used, or may spoil the result.
void judge(Face& face, double width, double height) {
  const double outside = share_outside(face.points, width, height), yaw = std::abs(face.pose.yaw), size = std::min(face.width, face.height);
  auto say = [&](FaceState state, const std::string& remark) {
    if (state > face.state) face.state = state, face.remark = remark;
  };
  if (size < least_width)
    say(FaceState::unfit, str("it is only ", std::lround(size), " pixels wide, at least ", least_width, " are needed"));
  if (outside > greatest_outside) say(FaceState::unfit, str("the picture's edge cuts off ", std::lround(100 * outside), "% of it"));
  if (yaw > greatest_yaw) say(FaceState::unfit, str("it is turned aside by ", std::lround(yaw), " degrees, more than ", greatest_yaw));
  if (outside > doubtful_outside) say(FaceState::doubtful, str("the picture's edge cuts off ", std::lround(100 * outside), "% of it"));
  if (face.presence < clear_presence) say(FaceState::doubtful, "it is hardly seen as a face: it may be covered, or drawn");
  if (yaw > doubtful_yaw) say(FaceState::doubtful, str("it is turned aside by ", std::lround(yaw), " degrees"));
}

}  // namespace

FaceFinder::FaceFinder(const SafetensorsFile& detector, const SafetensorsFile& landmarks) : detector_(detector), landmarks_(landmarks) {}

FaceFinder::Points FaceFinder::points_in(const Views& views, const Corners& square) const {
  const std::int64_t side = landmarks_.side();
  const std::vector<Tensor> out = landmarks_(seen_square(views.pixels, views.reduced, views.reduction, square, side) / 255);
  check(out.size() == 2 && out[0].numel() == 3 * static_cast<std::int64_t>(face_points) && out[1].numel() == 1, "face landmarks",
        "the network gives no points of the known form");
  const double n = static_cast<double>(side), scale = length(square[3] - square[0]) / n;
  const Point right = 1 / n * (square[3] - square[0]), down = 1 / n * (square[1] - square[0]);
  Points points;
  const float* p = out[0].data<float>();
  for (FacePoint& f : points.mesh) {
    const Point at = square[0] + static_cast<double>(p[0]) * right + static_cast<double>(p[1]) * down;
    f = {at.x, at.y, scale * static_cast<double>(p[2])};
    p += 3;
  }
  points.presence = out[1].item();
  return points;
}

// The detector's eyes say how the head is turned; where no sure face is seen that way, all others are tried if they may be. Then it is
// looked at again in the square around the points, until that stays in place: what is found varies three times less then than by the
// detector's box alone.
FaceFinder::Points FaceFinder::points_near(const Views& views, const FaceBox& box, bool any_turn) const {
  Corners square = square_of(box, 0);
  Points best = points_in(views, square);
  for (int i = 1; any_turn && i < 8 && best.presence < sure_presence; ++i) {
    const Corners turned = square_of(box, std::numbers::pi / 4 * i);
    Points points = points_in(views, turned);
    if (points.presence > best.presence) best = std::move(points), square = turned;
  }
  // A sure face that the detector saw as it is used to needs no second look: that is how MediaPipe places its points.
  const int looks = box.usual && best.presence >= sure_presence ? 0 : most_looks;
  for (int i = 0; i < looks && best.presence >= least_presence; ++i) {
    const Corners next = square_of(best.mesh);
    const double moved = std::max(length(next[0] - square[0]), length(next[2] - square[2]));
    if (i > 0 && moved < 0.02 * length(next[3] - next[0])) break;
    best = points_in(views, next), square = next;
  }
  return best;
}

std::vector<Face> FaceFinder::operator()(const Tensor& pixels) const {
  const NoGrad no_grad;
  const FaceSearch search = FaceDetector::prepare(pixels);
  const Views views{pixels, search.reduced, static_cast<double>(search.reduction)};
  const double width = static_cast<double>(pixels.dim(2)), height = static_cast<double>(pixels.dim(1));
  std::vector<Face> faces;
  for (int quarters = 0; quarters < 4; ++quarters)
    for (const FaceBox& box : detector_.find(search, quarters)) {
      // Turned pictures are searched for what was not surely seen upright.
      auto seen = [&](const Face& face) { return face.presence >= sure_presence && overlap(box_of(face), box) > same_face; };
      if (quarters > 0 && std::any_of(faces.begin(), faces.end(), seen)) continue;
      const Points points = points_near(views, box, quarters == 0);
      if (points.presence < least_presence || share_outside(points.mesh, width, height) > 0.5) continue;
      Face face;
      face.score = box.score, face.presence = points.presence, face.points = points.mesh;
      set_box(face);
      faces.push_back(face);
    }
  std::stable_sort(faces.begin(), faces.end(), [](const Face& a, const Face& b) { return a.presence > b.presence; });
  std::vector<Face> kept;
  for (Face& face : faces) {
    auto same = [&](const Face& other) { return overlap(box_of(face), box_of(other)) > same_face; };
    if (std::any_of(kept.begin(), kept.end(), same)) continue;
    face.pose = face_pose(face.points);
    face.frame = face_frame(face.points);
    judge(face, width, height);
    kept.push_back(std::move(face));
  }
  std::stable_sort(kept.begin(), kept.end(), [](const Face& a, const Face& b) { return a.width * a.height > b.width * b.height; });
  for (std::size_t i = 0; i < kept.size(); ++i) kept[i].number = i + 1;
  return kept;
}

}  // namespace g2s
