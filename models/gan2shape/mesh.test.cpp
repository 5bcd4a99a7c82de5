#include "models/gan2shape/mesh.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "models/gan2shape/mesh_io.h"
#include "models/gan2shape/mesh_render.h"

using namespace g2s;

namespace {

// Number of edges used by one triangle only, by two, and by more: a mesh of one sheet has none of the last.
std::array<std::int64_t, 3> edge_census(const TexturedMesh& mesh) {
  std::map<std::pair<std::uint32_t, std::uint32_t>, int> uses;
  for (const auto& t : mesh.triangles)
    for (std::size_t k = 0; k < 3; ++k) ++uses[std::minmax(t[k], t[(k + 1) % 3])];
  std::array<std::int64_t, 3> census{};
  for (const auto& [edge, n] : uses) ++census[static_cast<std::size_t>(std::min(n, 3) - 1)];
  return census;
}

constexpr std::int64_t S = 33;
const Pinhole camera{(S - 1) / 2.0 / std::tan(5 * M_PI / 180), (S - 1) / 2.0, (S - 1) / 2.0};

// A bump in front of the plane at depth 1.05, inside a disc of radius 10 pixels whose edge is soft over two pixels.
MeshSource bump() {
  MeshSource source{Tensor::empty({1, S, S, 1}), Tensor::empty({1, S, S, 1}), camera, 64};
  for (std::int64_t i = 0; i < S * S; ++i) {
    double x = static_cast<double>(i % S) - camera.cx, y = static_cast<double>(i / S) - camera.cy, r = std::hypot(x, y);
    source.depth.mutable_data<float>()[i] = static_cast<float>(r < 11 ? 1.0 - 0.02 * std::cos(r / 11 * M_PI / 2) : 1.05);
    source.mask.mutable_data<float>()[i] = static_cast<float>(std::min(1.0, std::max(0.0, (11 - r) / 2)));
  }
  return source;
}

std::uint32_t word(const std::string& bytes, std::size_t at) {
  std::uint32_t v;
  std::memcpy(&v, bytes.data() + at, 4);
  return v;
}

}  // namespace

TEST_SUITE_BEGIN("export");

TEST_CASE("mesh: the rim follows the mask's contour, not the pixel staircase") {
  MeshSource source = bump();
  TexturedMesh mesh = build_mesh(source);
  auto [rim, inner, crowded] = edge_census(mesh);
  CHECK(crowded == 0);
  CHECK(rim > 30);
  CHECK(inner > 10 * rim / 2);
  double farthest = 0;
  std::map<std::pair<std::uint32_t, std::uint32_t>, int> uses;
  for (const auto& t : mesh.triangles)
    for (std::size_t k = 0; k < 3; ++k) ++uses[std::minmax(t[k], t[(k + 1) % 3])];
  for (const auto& [edge, n] : uses) {
    if (n != 1) continue;
    const auto& p = mesh.positions[edge.first];
    double r = std::hypot(p[0], p[1]) / p[2] * camera.focal;
    farthest = std::max(farthest, std::abs(r - 10));  // mask 0.5 lies at radius 10
  }
  CHECK(farthest < 0.15);
}

TEST_CASE("mesh: normals face the camera, uvs are texel centres") {
  TexturedMesh mesh = build_mesh(bump());
  for (std::size_t i = 0; i < mesh.normals.size(); ++i) {
    const auto& n = mesh.normals[i];
    CHECK(n[2] < 0);
    CHECK(std::abs(n[0] * n[0] + n[1] * n[1] + n[2] * n[2] - 1) < 1e-5);
    const auto& p = mesh.positions[i];
    double x = p[0] / p[2] * camera.focal + camera.cx;
    CHECK(mesh.uvs[i][0] == doctest::Approx((x * 63.0 / (S - 1) + 0.5) / 64).epsilon(1e-5));
  }
}

TEST_CASE("mesh: an empty mask is an error") {
  MeshSource source = bump();
  source.mask = Tensor::zeros({1, S, S, 1});
  CHECK_THROWS_WITH_AS(build_mesh(source), "mesh: the object mask leaves nothing of the shape", Error);
}

TEST_CASE("mesh: curtains between object and background are left out") {
  MeshSource source = bump();
  source.mask = Tensor::full({1, S, S, 1}, 1);
  source.max_slope = 5;  // a pixel is 0.0055 wide; the step from the bump's edge to 1.05 is about 0.05
  TexturedMesh mesh = build_mesh(source);
  float steepest = 0;
  for (const auto& t : mesh.triangles) {
    auto [lo, hi] = std::minmax({mesh.positions[t[0]][2], mesh.positions[t[1]][2], mesh.positions[t[2]][2]});
    steepest = std::max(steepest, hi - lo);
  }
  CHECK(steepest < 0.03);
  CHECK(mesh.triangles.size() < 2 * (S - 1) * (S - 1));
}

TEST_CASE("mesh: no walls of background where the mask reaches the picture's edge") {
  MeshSource source = bump();
  // A slope that ends at the edges, whose two columns lie at the depth of the background; by less than a curtain's slope.
  for (std::int64_t i = 0; i < S * S; ++i) {
    const std::int64_t x = i % S;
    source.depth.mutable_data<float>()[i] = x < 2 || x >= S - 2 ? 1.04f : 1.0f - 0.0001f * static_cast<float>(x);
  }
  source.mask = Tensor::full({1, S, S, 1}, 1);
  auto farthest = [](const TexturedMesh& mesh) {
    float z = 0;
    for (const auto& p : mesh.positions) z = std::max(z, p[2]);
    return z;
  };
  CHECK(farthest(build_mesh(source)) == doctest::Approx(1.04));  // the walls are there
  source.border_columns = 2;
  const TexturedMesh mesh = build_mesh(source);
  CHECK(farthest(mesh) < 1.0001);
  CHECK(mesh.triangles.size() == static_cast<std::size_t>(2 * (S - 1) * (S - 5)));  // all between the third column and the last but two
  auto [rim, inner, crowded] = edge_census(mesh);
  CHECK(crowded == 0);
  for (const auto& n : mesh.normals) CHECK(n[2] < -0.99);  // nothing bends away at the rim
}

TEST_CASE("glb: header, chunks, accessor bounds and index range") {
  TexturedMesh mesh = build_mesh(bump());
  std::string png(37, 'x');
  ViewerFrame frame{1.0, 1 / (2 * std::tan(5 * M_PI / 180))};
  std::string glb = glb_file(mesh, frame, png);
  REQUIRE(glb.size() % 4 == 0);
  CHECK(word(glb, 0) == 0x46546C67);
  CHECK(word(glb, 4) == 2);
  CHECK(word(glb, 8) == glb.size());
  std::size_t json_size = word(glb, 12), binary_at = 20 + json_size;
  CHECK(word(glb, 16) == 0x4E4F534A);
  CHECK(word(glb, binary_at + 4) == 0x004E4942);
  CHECK(binary_at + 8 + word(glb, binary_at) == glb.size());
  auto doc = nlohmann::json::parse(glb.begin() + 20, glb.begin() + 20 + static_cast<std::ptrdiff_t>(json_size));
  for (const auto& view : doc["bufferViews"]) {
    CHECK(view["byteOffset"].get<std::size_t>() % 4 == 0);
    CHECK(view["byteOffset"].get<std::size_t>() + view["byteLength"].get<std::size_t>() <= doc["buffers"][0]["byteLength"].get<std::size_t>());
  }
  // The first position in the file: the nose is nearest, so z is largest there and y is up.
  const auto& accessor = doc["accessors"][0];
  CHECK(accessor["count"] == mesh.positions.size());
  CHECK(accessor["max"][2].get<double>() == doctest::Approx(0.02 * frame.scale).epsilon(1e-3));
  float y;
  std::memcpy(&y, glb.data() + binary_at + 8 + 4, 4);
  CHECK(y == doctest::Approx(-mesh.positions[0][1] * frame.scale));
}

TEST_CASE("obj: counts, one-based indices, shortest exact numbers") {
  TexturedMesh mesh;
  mesh.positions = {{0.1f, 0, 1}, {0, 0.1f, 1}, {0, 0, 0.9f}};
  mesh.normals = {{0, 0, -1}, {0, 0, -1}, {0, 0, -1}};
  mesh.uvs = {{0.25f, 0}, {0, 1}, {0, 0}};
  mesh.triangles = {{0, 1, 2}};
  std::string text = obj_text(mesh, {1, 1}, "m.mtl");
  CHECK(text.find("mtllib m.mtl\n") == 0);
  CHECK(text.find("v 0.1 -0 0\n") != std::string::npos);
  CHECK(text.find("vt 0.25 1\n") != std::string::npos);
  CHECK(text.find("vn 0 -0 1\n") != std::string::npos);
  CHECK(text.find("f 1/1/1 2/2/2 3/3/3\n") != std::string::npos);
}

TEST_CASE("render_mesh: the unturned mesh shows its texture, yaw moves the near side as the method's rotation does") {
  MeshSource source = bump();
  TexturedMesh mesh = build_mesh(source);
  // Texture: red grows to the right, green downwards.
  Tensor texture = Tensor::empty({1, 64, 64, 3});
  for (std::int64_t i = 0; i < 64 * 64; ++i) {
    texture.mutable_data<float>()[3 * i] = static_cast<float>(i % 64) / 63.0f;
    texture.mutable_data<float>()[3 * i + 1] = static_cast<float>(i / 64) / 63.0f;
    texture.mutable_data<float>()[3 * i + 2] = 0;
  }
  MeshView view;
  view.camera = camera;
  view.grid = S;
  view.size = 2 * S;
  Tensor front = render_mesh(mesh, texture, view);
  auto at = [&](const Tensor& t, std::int64_t y, std::int64_t x, std::int64_t c) { return t.data<float>()[(y * view.size + x) * 3 + c]; };
  for (std::int64_t y = 24; y < 42; y += 5)
    for (std::int64_t x = 24; x < 42; x += 5) {
      double pixel = (static_cast<double>(x) + 0.5) / 2 - 0.5;  // of the S x S grid
      CHECK(at(front, y, x, 0) == doctest::Approx(pixel / (S - 1)).epsilon(2e-2));
      CHECK(at(front, y, x, 2) == 0);
    }
  CHECK(at(front, 0, 0, 2) == 1);  // background
  // R = Ry(yaw): x' = cos x + sin (z - center): the bump, nearer than the centre, moves to the left for a positive yaw.
  view.yaw = 0.5;
  Tensor turned = render_mesh(mesh, texture, view);
  CHECK(at(turned, S, S, 0) > at(front, S, S, 0) + 0.05);
}

TEST_SUITE_END();
