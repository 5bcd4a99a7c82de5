#include "models/gan2shape/mesh_io.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <nlohmann/json.hpp>

namespace g2s {
namespace {

static_assert(std::endian::native == std::endian::little, "GLB is little-endian");

// The shortest text that reads back as the same float, whatever the locale.
void append(std::string& out, float v) {
  char buffer[32];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, v);
  out.append(buffer, end);
}

template <std::size_t N>
void append_line(std::string& out, const char* keyword, const std::array<float, N>& values) {
  out += keyword;
  for (float v : values) {
    out += ' ';
    append(out, v);
  }
  out += '\n';
}

// The binary chunk of a GLB with its views and accessors. Every view starts at a multiple of four bytes.
class Binary {
 public:
  std::size_t view(const void* data, std::size_t bytes, int target) {
    bytes_.resize((bytes_.size() + 3) / 4 * 4, '\0');
    nlohmann::json view = {{"buffer", 0}, {"byteOffset", bytes_.size()}, {"byteLength", bytes}};
    if (target) view["target"] = target;
    views_.push_back(view);
    bytes_.append(static_cast<const char*>(data), bytes);
    return views_.size() - 1;
  }

  // array_buffer 34962, element_array_buffer 34963; component types float 5126, unsigned int 5125
  template <class T, std::size_t N>
  std::size_t attribute(const std::vector<std::array<T, N>>& values, const char* type, bool bounds) {
    std::size_t v = view(values.data(), values.size() * sizeof values[0], 34962);
    nlohmann::json accessor = {{"bufferView", v}, {"componentType", 5126}, {"count", values.size()}, {"type", type}};
    if (bounds) {
      std::array<T, N> lo = values[0], hi = values[0];
      for (const auto& p : values)
        for (std::size_t k = 0; k < N; ++k) {
          lo[k] = std::min(lo[k], p[k]);
          hi[k] = std::max(hi[k], p[k]);
        }
      accessor["min"] = lo;
      accessor["max"] = hi;
    }
    accessors_.push_back(accessor);
    return accessors_.size() - 1;
  }

  std::size_t indices(const std::vector<std::array<std::uint32_t, 3>>& triangles) {
    std::size_t v = view(triangles.data(), triangles.size() * sizeof triangles[0], 34963);
    accessors_.push_back({{"bufferView", v}, {"componentType", 5125}, {"count", triangles.size() * 3}, {"type", "SCALAR"}});
    return accessors_.size() - 1;
  }

  const std::string& bytes() const { return bytes_; }
  const nlohmann::json& views() const { return views_; }
  const nlohmann::json& accessors() const { return accessors_; }

 private:
  std::string bytes_;
  nlohmann::json views_ = nlohmann::json::array(), accessors_ = nlohmann::json::array();
};

void put(std::string& out, std::uint32_t v) { out.append(reinterpret_cast<const char*>(&v), sizeof v); }

void put_chunk(std::string& out, std::uint32_t type, std::string_view content, char padding) {
  std::size_t padded = (content.size() + 3) / 4 * 4;
  put(out, static_cast<std::uint32_t>(padded));
  put(out, type);
  out.append(content);
  out.append(padded - content.size(), padding);
}

}  // namespace

TexturedMesh in_frame(const TexturedMesh& mesh, const ViewerFrame& f) {
  TexturedMesh out = mesh;
  for (auto& p : out.positions)
    p = {static_cast<float>(p[0] * f.scale), static_cast<float>(-p[1] * f.scale), static_cast<float>((f.center - p[2]) * f.scale)};
  for (auto& n : out.normals) n = {n[0], -n[1], -n[2]};
  return out;
}

std::string obj_text(const TexturedMesh& camera_mesh, const ViewerFrame& frame, const std::string& material_file) {
  const TexturedMesh mesh = in_frame(camera_mesh, frame);
  std::string out = "mtllib " + material_file + "\no shape\n";
  for (const auto& p : mesh.positions) append_line(out, "v", p);
  for (const auto& uv : mesh.uvs) append_line(out, "vt", std::array<float, 2>{uv[0], 1 - uv[1]});  // OBJ counts v from below
  for (const auto& n : mesh.normals) append_line(out, "vn", n);
  out += "usemtl surface\n";
  for (const auto& t : mesh.triangles) {
    out += 'f';
    for (std::uint32_t v : t) {
      std::string i = std::to_string(v + 1);
      out += ' ' + i + '/' + i + '/' + i;
    }
    out += '\n';
  }
  return out;
}

std::string mtl_text(const std::string& texture_file) {
  return "newmtl surface\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd " + texture_file + "\n";
}

std::string glb_file(const TexturedMesh& camera_mesh, const ViewerFrame& frame, std::string_view png) {
  const TexturedMesh mesh = in_frame(camera_mesh, frame);
  Binary binary;
  nlohmann::json attributes = {{"POSITION", binary.attribute(mesh.positions, "VEC3", true)},
                               {"NORMAL", binary.attribute(mesh.normals, "VEC3", false)},
                               {"TEXCOORD_0", binary.attribute(mesh.uvs, "VEC2", false)}};
  std::size_t indices = binary.indices(mesh.triangles);
  std::size_t image = binary.view(png.data(), png.size(), 0);
  nlohmann::json doc = {
      {"asset", {{"version", "2.0"}, {"generator", "gan2shape"}}},
      {"scene", 0},
      {"scenes", {{{"nodes", {0}}}}},
      {"nodes", {{{"mesh", 0}, {"name", "shape"}}}},
      {"meshes", {{{"primitives", {{{"attributes", attributes}, {"indices", indices}, {"material", 0}}}}}}},
      {"materials",
       {{{"name", "surface"},
         {"doubleSided", true},
         {"pbrMetallicRoughness", {{"baseColorTexture", {{"index", 0}}}, {"metallicFactor", 0.0}, {"roughnessFactor", 1.0}}}}}},
      {"textures", {{{"sampler", 0}, {"source", 0}}}},
      {"samplers", {{{"magFilter", 9729}, {"minFilter", 9987}, {"wrapS", 33071}, {"wrapT", 33071}}}},
      {"images", {{{"bufferView", image}, {"mimeType", "image/png"}}}},
      {"accessors", binary.accessors()},
      {"bufferViews", binary.views()},
      {"buffers", {{{"byteLength", binary.bytes().size()}}}}};
  std::string content, out;
  put_chunk(content, 0x4E4F534A, doc.dump(), ' ');
  put_chunk(content, 0x004E4942, binary.bytes(), '\0');
  put(out, 0x46546C67);  // "glTF"
  put(out, 2);
  put(out, static_cast<std::uint32_t>(content.size() + 12));
  return out + content;
}

}  // namespace g2s
