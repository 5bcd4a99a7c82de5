// Faces in pictures: the two networks against LiteRT (tests/oracle/make_face_goldens.py), what is found in portraits and in bad pictures.
#include "models/face/face.h"

#include <doctest/doctest.h>

#include <cmath>

#include "engine/image.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/shape/shape.h"
#include "models/face/finder.h"
#include "models/face/report.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

std::string portrait(const std::string& name) { return source_path("tests/images/portraits/" + name); }
SafetensorsFile asset(const char* name) { return SafetensorsFile(source_path(str("assets/", name, ".safetensors"))); }
std::vector<Face> found(const Tensor& pixels) { return FaceFinder(asset("face_detector"), asset("face_landmarks"))(pixels); }

Tensor plain(std::int64_t height, std::int64_t width, int value) {
  Tensor x = Tensor::empty({1, height, width, 3}, DType::u8);
  std::fill_n(x.mutable_data<std::uint8_t>(), x.numel(), static_cast<std::uint8_t>(value));
  return x;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.numel() == b.numel());
  double most = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i)
    most = std::max(most, static_cast<double>(std::abs(a.data<float>()[i] - b.data<float>()[i])));
  return most;
}

double mean_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  double sum = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) sum += std::abs(a.data<std::uint8_t>()[i] - b.data<std::uint8_t>()[i]);
  return sum / static_cast<double>(a.numel());
}

// Rows that have a positive score.
Tensor likely_boxes(const Tensor& boxes, const Tensor& scores) {
  std::vector<Tensor> rows;
  for (std::int64_t i = 0; i < scores.numel(); ++i)
    if (scores.data<float>()[i] > 0) rows.push_back(slice(boxes, 1, i));
  return concat(rows, 1);
}

Point centre_of(const Face& face) { return 0.5 * (face.frame[0] + face.frame[2]); }
double side_of(const Face& face) { return length(face.frame[3] - face.frame[0]); }

// Half a circle.
Tensor upside_down(const Tensor& x) { return flip(flip(x, 1), 2); }

}  // namespace

TEST_CASE("face: both networks give what LiteRT gives, to a thousandth of the picture's width") {
  const SafetensorsFile golden(source_path("models/face/face.golden.safetensors"));
  const StoredNetwork detector(asset("face_detector")), landmarks(asset("face_landmarks"));
  CHECK(detector.side() == 256);
  CHECK(landmarks.side() == 192);
  for (const std::string name : {"astronaut", "grace_hopper"}) {
    CAPTURE(name);
    const Tensor pixels = read_image(portrait(name + "_aligned256.png")).rgb;
    const std::vector<Tensor> boxes = detector(pixels_to_image(pixels));
    REQUIRE(boxes.size() == 2);
    CHECK(largest_difference(boxes[1], golden.get(name + ".scores")) < 0.01);
    CHECK(largest_difference(likely_boxes(boxes[0], golden.get(name + ".scores")), golden.get(name + ".boxes")) < 256e-3);
    const std::vector<Tensor> points = landmarks((pixels_to_image(resize_pixels(pixels, 192, 192)) + 1) / 2);
    REQUIRE(points.size() == 2);
    CHECK(largest_difference(points[0], golden.get(name + ".points")) < 192e-3);
    CHECK(largest_difference(points[1], golden.get(name + ".presence")) < 0.1);
  }
}

TEST_CASE("face: a network does not depend on the context's precision, and a file without operators is refused") {
  const StoredNetwork landmarks(asset("face_landmarks"));
  const Tensor x = hashed_input("face/input", {1, 192, 192, 3}, DType::f32, 0.5, 0.5);
  const Tensor exact = landmarks(x)[0];
  const WithPrecision rough(Precision::bf16);
  CHECK(same_bits(landmarks(x)[0], exact));
  CHECK_THROWS_WITH_AS(StoredNetwork(asset("u2netp")), doctest::Contains("has no `graph`"), Error);
}

TEST_CASE("face: the portraits' faces, looking into the camera, in FFHQ's frame") {
  struct Case {
    const char* file;
    double x, y, side, roll;  // of the frame that another program found
  };
  for (const Case& c : {Case{"astronaut.jpg", 224.5, 105.5, 173.3, 2.5}, Case{"grace_hopper.jpg", 264.3, 197.8, 352.4, -3.7}}) {
    CAPTURE(c.file);
    const std::vector<Face> faces = found(read_image(portrait(c.file)).rgb);
    REQUIRE(faces.size() == 1);
    const Face& face = faces[0];
    CHECK(face.state == FaceState::good);
    CHECK(length(centre_of(face) - Point{c.x, c.y}) < 0.02 * c.side);
    CHECK(std::abs(side_of(face) / c.side - 1) < 0.03);
    CHECK(std::abs(face.pose.roll - c.roll) < 2);
    CHECK(std::abs(face.pose.yaw) < 8);
    CHECK(std::abs(face.pose.pitch) < 15);
    CHECK(face.score > 0.8);
    CHECK(face.presence > 28);
    const nlohmann::json told = face_json(face);
    CHECK(told.at("points").size() == face_points);
    CHECK(told.at("state") == "good");
    CHECK_FALSE(told.contains("remark"));
  }
}

TEST_CASE("face: a face is found, and its frame cut out, as another program did it, to 2/255") {
  const auto folder = shared_path("faces/portraits");
  if (!folder) return;
  for (const auto& [file, crop] : {std::pair{"/astronaut.png", "/astronaut_aligned256.png"}, std::pair{"/grace_hopper.jpg", "/grace_hopper_aligned256.png"}}) {
    CAPTURE(file);
    const Tensor pixels = read_image(*folder + file).rgb;
    const std::vector<Face> faces = found(pixels);
    REQUIRE(faces.size() == 1);
    CHECK(mean_difference(align_face(pixels, faces[0].frame, 256), read_image(*folder + crop).rgb) < 2);
  }
}

TEST_CASE("face: in pictures that are reduced, turned and enlarged the face is the same one") {
  const Tensor pixels = read_image(portrait("grace_hopper.jpg")).rgb;
  const Face face = found(pixels).at(0);
  const double w = static_cast<double>(pixels.dim(2)), h = static_cast<double>(pixels.dim(1));
  auto same = [&](const std::vector<Face>& others, double scale, auto back) {
    REQUIRE(others.size() == 1);
    for (std::size_t i : {0u, 2u}) CHECK(length(1 / scale * back(others[0].frame[i]) - face.frame[i]) < 0.04 * side_of(face));
  };
  same(found(resize_pixels(pixels, 300, 256)), 0.5, [](Point p) { return p; });
  same(found(resize_pixels(pixels, 3600, 3072)), 6, [](Point p) { return p; });
  same(found(upside_down(pixels)), 1, [=](Point p) { return Point{w, h} - p; });
  same(found(flip(permute(pixels, {0, 2, 1, 3}), 2)), 1, [=](Point p) { return Point{p.y, h - p.x}; });
}

TEST_CASE("face: twenty faces, the largest first, chosen by number") {
  const Tensor parts[] = {crop_pixels(read_image(portrait("astronaut.jpg")).rgb, 0, 100, 250, 250),
                          resize_pixels(crop_pixels(read_image(portrait("grace_hopper.jpg")).rgb, 20, 60, 410, 410), 250, 250)};
  std::vector<Tensor> rows;
  for (int i = 0; i < 4; ++i) {
    std::vector<Tensor> row;
    for (int j = 0; j < 5; ++j) row.push_back(parts[(i + j) % 2]);
    rows.push_back(concat(row, 2));
  }
  const std::vector<Face> faces = found(concat(rows, 1));
  REQUIRE(faces.size() == 20);
  for (std::size_t i = 1; i < faces.size(); ++i) CHECK(faces[i].width * faces[i].height <= faces[i - 1].width * faces[i - 1].height);
  CHECK(choose_faces(faces, "all", "p.png").size() == 20);
  CHECK(choose_faces(faces, "largest", "p.png").at(0).left == faces[0].left);
  CHECK(choose_faces(faces, "3", "p.png").at(0).left == faces[2].left);
  CHECK_THROWS_WITH_AS(choose_faces(faces, "21", "p.png"), doctest::Contains("has 20 faces"), Error);
  for (const char* wrong : {"0", "-1", "1x", "", "two"})
    CHECK_THROWS_WITH_AS(choose_faces(faces, wrong, "p.png"), doctest::Contains("face"), Error);
}

TEST_CASE("face: pictures without a face, and faces that are too small or cut off") {
  for (const Tensor& nothing : {plain(1, 1, 128), plain(64, 64, 128), plain(480, 640, 0), plain(3, 2000, 255), plain(2000, 3, 30)})
    CHECK(found(nothing).empty());
  Tensor noise = plain(300, 400, 0);
  const Tensor values = hashed_input("face/noise", noise.shape(), DType::f32, 127, 128);
  for (std::int64_t i = 0; i < noise.numel(); ++i)
    noise.mutable_data<std::uint8_t>()[i] = static_cast<std::uint8_t>(values.data<float>()[i]);
  CHECK(found(noise).empty());

  const Tensor pixels = read_image(portrait("grace_hopper.jpg")).rgb;
  const std::vector<Face> small = found(resize_pixels(pixels, 82, 70));
  REQUIRE(small.size() == 1);
  CHECK(small[0].state == FaceState::unfit);
  CHECK(small[0].remark.find("at least 30 are needed") != std::string::npos);

  const std::vector<Face> cut = found(crop_pixels(pixels, 0, 215, 600, 297));  // 40 of 190 pixels are missing
  REQUIRE(cut.size() == 1);
  CHECK(cut[0].state != FaceState::good);
  CHECK(cut[0].remark.find("the picture's edge cuts off") != std::string::npos);
}

TEST_CASE("face: squares are sampled with antialiasing, turned, and mirrored beyond the edges") {
  Tensor ramp = plain(40, 60, 0);  // red is twice the column, green twice the row
  for (std::int64_t i = 0; i < 40 * 60; ++i) {
    ramp.mutable_data<std::uint8_t>()[3 * i] = static_cast<std::uint8_t>(2 * (i % 60));
    ramp.mutable_data<std::uint8_t>()[3 * i + 1] = static_cast<std::uint8_t>(2 * (i / 60));
  }
  auto at = [](const Tensor& t, int row, int column, int channel) { return t.data<float>()[(row * t.dim(2) + column) * 3 + channel] / 2; };
  const Tensor whole = sample_square(ramp, square_corners({20, 20}, 40, 0), 10);  // four pixels each
  CHECK(at(whole, 0, 0, 0) == doctest::Approx(1.5));
  CHECK(at(whole, 3, 5, 0) == doctest::Approx(21.5));
  CHECK(at(whole, 3, 5, 1) == doctest::Approx(13.5));
  const Tensor turned = sample_square(ramp, square_corners({20, 20}, 20, std::acos(0.0)), 20);  // to the right is down
  CHECK(at(turned, 0, 3, 1) == doctest::Approx(13));
  CHECK(at(turned, 4, 0, 0) == doctest::Approx(25));
  const Tensor beyond = sample_square(ramp, square_corners({0, 20}, 20, 0), 20);  // half of it to the left of the picture
  for (int j = 0; j < 10; ++j) CHECK(at(beyond, 5, j, 0) == doctest::Approx(at(beyond, 5, 19 - j, 0)));
  const Tensor far = sample_square(ramp, square_corners({500, -700}, 20, 0.3), 8);
  for (std::int64_t i = 0; i < far.numel(); ++i) CHECK(far.data<float>()[i] <= 118.f);
  const Tensor huge = sample_square(ramp, square_corners({0, 0}, 1e30, 1), 2),
               point = sample_square(ramp, square_corners({30, 20}, 0, 0), 2);
  CHECK(huge.data<float>()[0] >= 0);
  CHECK(at(point, 1, 1, 0) == doctest::Approx(29.5));
  CHECK_THROWS_WITH_AS(sample_square(ramp, square_corners({NAN, 0}, 5, 0), 2), doctest::Contains("is no number"), Error);
}
