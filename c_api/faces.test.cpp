// Faces through the C interface: what the C++ calls give.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "engine/image.h"
#include "models/face/finder.h"
#include "models/face/report.h"
#include "tests/support/c_interface.h"

using namespace g2s;
using namespace g2s::test;

TEST_CASE("C interface: faces and aligned crops are those of the C++ calls") {
  const CContext context;
  const std::string assets = source_path("assets");
  const Tensor pixels = read_image(source_path("tests/images/portraits/grace_hopper.jpg")).rgb;
  const FaceFinder finder{SafetensorsFile(assets + "/face_detector.safetensors"), SafetensorsFile(assets + "/face_landmarks.safetensors")};
  const std::vector<Face> want = finder(pixels);
  REQUIRE(want.size() == 1);

  g2s_faces faces = nullptr;
  REQUIRE_OK(g2s_faces_load(context.handle, assets.c_str(), &faces));
  const g2s_array picture = array_of(pixels);
  g2s_text text = nullptr;
  REQUIRE_OK(g2s_faces_find(faces, &picture, &text));
  CHECK(nlohmann::json::parse(g2s_text_get(text)) == nlohmann::json::array({face_json(want[0])}));
  CHECK_OK(g2s_text_free(text));

  Tensor frame = Tensor::empty({4, 2}), crop = Tensor::empty({64, 64, 3}, DType::u8);
  for (std::size_t i = 0; i < 4; ++i) {
    frame.mutable_data<float>()[2 * i] = static_cast<float>(want[0].frame[i].x);
    frame.mutable_data<float>()[2 * i + 1] = static_cast<float>(want[0].frame[i].y);
  }
  const g2s_array corners = array_of(frame), aligned = array_of(crop);
  REQUIRE_OK(g2s_faces_align(faces, &picture, &corners, &aligned));
  const Tensor same = align_face(pixels, want[0].frame, 64);
  int most = 0;
  for (std::int64_t i = 0; i < same.numel(); ++i)
    most = std::max(most, std::abs(same.data<std::uint8_t>()[i] - crop.data<std::uint8_t>()[i]));
  CHECK(most <= 1);  // the corners are f32

  const Tensor three = Tensor::zeros({3, 2});
  const g2s_array too_few = array_of(three);
  check_fails(g2s_faces_align(faces, &picture, &picture, &aligned), G2S_SHAPE_MISMATCH, "frame: is u8, not f32, f64, f16 or bf16");
  check_fails(g2s_faces_align(faces, &picture, &too_few, &aligned), G2S_SHAPE_MISMATCH, "frame: is [3,2], expected [4,2]");
  check_fails(g2s_faces_align(faces, &corners, &corners, &aligned), G2S_SHAPE_MISMATCH, "picture: is [4,2], expected [H,W,3]");
  check_fails(g2s_faces_find(faces, nullptr, &text), G2S_INVALID_ARGUMENT, "picture: is null");
  CHECK_OK(g2s_faces_free(faces));
  check_fails(g2s_faces_find(faces, &picture, &text), G2S_INVALID_ARGUMENT, "faces: is a handle of a face finder that was freed");
  CHECK(g2s_faces_load(context.handle, "/nowhere", &faces) == G2S_IO);
  CHECK(std::string(g2s_last_error()).find("/nowhere/face_detector.safetensors") != std::string::npos);
}
