#include "models/gan2shape/mesh.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>

namespace g2s {
namespace {

using Point = std::array<float, 3>;

Point sub(const Point& a, const Point& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
Point cross(const Point& a, const Point& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
float dot(const Point& a, const Point& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// Builds the clipped grid. Vertices of the grid and on cut edges are made on first use, so that neighbours share them.
class Builder {
 public:
  explicit Builder(const MeshSource& source)
      : source_(source), size_(source.depth.dim(1)), depth_(source.depth.data<float>()), mask_(source.mask.data<float>()) {}

  TexturedMesh build() {
    for (std::int64_t y = 0; y + 1 < size_; ++y)
      for (std::int64_t x = 0; x + 1 < size_; ++x) {
        if (in_border(x) || in_border(x + 1)) continue;
        std::int64_t a = y * size_ + x, b = a + size_, c = a + 1, d = b + 1;
        add({a, b, c});
        add({c, b, d});
      }
    if (mesh_.triangles.empty()) fail(Errc::invalid_argument, "mesh", "the object mask leaves nothing of the shape");
    add_normals();
    return std::move(mesh_);
  }

 private:
  bool inside(std::int64_t v) const { return mask_[v] >= 0.5f; }

  Point position(double x, double y, double depth) const {
    return {static_cast<float>((x - source_.camera.cx) / source_.camera.focal * depth),
            static_cast<float>((y - source_.camera.cy) / source_.camera.focal * depth), static_cast<float>(depth)};
  }

  std::uint32_t vertex(double x, double y, double depth) {
    double texels = static_cast<double>(source_.texture_size), step = (texels - 1) / static_cast<double>(size_ - 1);
    mesh_.positions.push_back(position(x, y, depth));
    mesh_.uvs.push_back({static_cast<float>((x * step + 0.5) / texels), static_cast<float>((y * step + 0.5) / texels)});
    return static_cast<std::uint32_t>(mesh_.positions.size() - 1);
  }

  std::uint32_t grid_vertex(std::int64_t v) {
    auto [it, fresh] = grid_.try_emplace(v, 0);
    if (fresh) it->second = vertex(static_cast<double>(v % size_), static_cast<double>(v / size_), depth_[v]);
    return it->second;
  }

  // Where the mask crosses 0.5 between an inside and an outside vertex. The depth is the inside vertex's: beyond the rim lies the
  // background, whose depth would bend the rim away.
  std::uint32_t cut_vertex(std::int64_t in, std::int64_t out) {
    auto [it, fresh] = cuts_.try_emplace({in, out}, 0);
    if (fresh) {
      double t = (mask_[in] - 0.5) / (mask_[in] - mask_[out]);
      double x = static_cast<double>(in % size_), y = static_cast<double>(in / size_);
      x += t * (static_cast<double>(out % size_) - x);
      y += t * (static_cast<double>(out / size_) - y);
      it->second = vertex(x, y, depth_[in]);
    }
    return it->second;
  }

  bool in_border(std::int64_t column) const { return column < source_.border_columns || column >= size_ - source_.border_columns; }

  bool too_steep(const std::array<std::int64_t, 3>& t) const {
    float lo = INFINITY, hi = -INFINITY;
    for (std::int64_t v : t) {
      if (!inside(v)) continue;  // a clipped triangle takes its depth from its inside vertices
      lo = std::min(lo, depth_[v]);
      hi = std::max(hi, depth_[v]);
    }
    return (hi - lo) > source_.max_slope * hi / source_.camera.focal;
  }

  void emit(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
    if (a != b && b != c && a != c) mesh_.triangles.push_back({a, b, c});
  }

  void add(const std::array<std::int64_t, 3>& t) {
    int count = 0;
    for (std::int64_t v : t) count += inside(v);
    if (count == 0 || too_steep(t)) return;
    if (count == 3) return emit(grid_vertex(t[0]), grid_vertex(t[1]), grid_vertex(t[2]));
    // Turn the triangle so that its odd vertex comes first.
    std::size_t odd = 0;
    while (inside(t[odd]) != (count == 1)) ++odd;
    std::int64_t p = t[odd], q = t[(odd + 1) % 3], r = t[(odd + 2) % 3];
    if (count == 1) return emit(grid_vertex(p), cut_vertex(p, q), cut_vertex(p, r));
    std::uint32_t a = cut_vertex(q, p), b = grid_vertex(q), c = grid_vertex(r), d = cut_vertex(r, p);
    emit(a, b, c);
    emit(a, c, d);
  }

  void add_normals() {
    mesh_.normals.assign(mesh_.positions.size(), {0, 0, 0});
    for (const auto& t : mesh_.triangles) {
      const Point &a = mesh_.positions[t[0]], &b = mesh_.positions[t[1]], &c = mesh_.positions[t[2]];
      Point n = cross(sub(b, a), sub(c, a));  // its length weighs by area
      for (std::uint32_t v : t)
        for (std::size_t k = 0; k < 3; ++k) mesh_.normals[v][k] += n[k];
    }
    for (Point& n : mesh_.normals) {
      float length = std::sqrt(dot(n, n));
      if (length > 0) for (float& k : n) k /= length;
      else n = {0, 0, -1};
    }
  }

  const MeshSource& source_;
  std::int64_t size_;
  const float *depth_, *mask_;
  TexturedMesh mesh_;
  std::unordered_map<std::int64_t, std::uint32_t> grid_;
  std::map<std::pair<std::int64_t, std::int64_t>, std::uint32_t> cuts_;
};

}  // namespace

TexturedMesh build_mesh(const MeshSource& source) {
  const Shape& shape = source.depth.shape();
  check(shape.rank() == 4 && shape[0] == 1 && shape[1] == shape[2] && shape[3] == 1 && shape[1] >= 2, "mesh", "depth must be [1,S,S,1], got ",
        describe(source.depth));
  check(source.mask.shape() == shape, "mesh", "mask ", describe(source.mask), " for depth ", describe(source.depth));
  return Builder(source).build();
}

}  // namespace g2s
