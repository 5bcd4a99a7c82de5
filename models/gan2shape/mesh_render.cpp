#include "models/gan2shape/mesh_render.h"

#include <algorithm>
#include <cmath>

#include "engine/parallel.h"

namespace g2s {
namespace {

struct ScreenVertex {
  double x, y;      // samples
  double w;         // 1 / depth, linear on the screen
  double u, v;      // texture coordinate times w
};

std::array<double, 9> rotation(const MeshView& view) {
  double cx = std::cos(view.pitch), sx = std::sin(view.pitch), cy = std::cos(view.yaw), sy = std::sin(view.yaw);
  double cz = std::cos(view.roll), sz = std::sin(view.roll);
  return {cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx,
          sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx,
          -sy,     cy * sx,                cy * cx};
}

std::vector<ScreenVertex> project(const TexturedMesh& mesh, const MeshView& view, std::int64_t samples) {
  std::array<double, 9> r = rotation(view);
  // Pixel i of the grid covers [i, i+1) of the image's width in samples; its centre is at i + 0.5.
  double zoom = static_cast<double>(samples) / static_cast<double>(view.grid);
  std::vector<ScreenVertex> out(mesh.positions.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    double p[3] = {mesh.positions[i][0], mesh.positions[i][1], mesh.positions[i][2] - view.center}, q[3];
    for (std::size_t k = 0; k < 3; ++k) q[k] = r[3 * k] * p[0] + r[3 * k + 1] * p[1] + r[3 * k + 2] * p[2] + view.translation[k];
    double z = std::max(q[2] + view.center, 1e-3);
    out[i].x = (q[0] / z * view.camera.focal + view.camera.cx + 0.5) * zoom;
    out[i].y = (q[1] / z * view.camera.focal + view.camera.cy + 0.5) * zoom;
    out[i].w = 1 / z;
    out[i].u = mesh.uvs[i][0] / z;
    out[i].v = mesh.uvs[i][1] / z;
  }
  return out;
}

void sample_texture(const Tensor& texture, double u, double v, float* out) {
  std::int64_t size_y = texture.dim(1), size_x = texture.dim(2), channels = texture.dim(3);
  double x = std::clamp(u * static_cast<double>(size_x) - 0.5, 0.0, static_cast<double>(size_x - 1));
  double y = std::clamp(v * static_cast<double>(size_y) - 0.5, 0.0, static_cast<double>(size_y - 1));
  std::int64_t x0 = static_cast<std::int64_t>(x), y0 = static_cast<std::int64_t>(y);
  std::int64_t x1 = std::min(x0 + 1, size_x - 1), y1 = std::min(y0 + 1, size_y - 1);
  float fx = static_cast<float>(x - static_cast<double>(x0)), fy = static_cast<float>(y - static_cast<double>(y0));
  const float* t = texture.data<float>();
  for (std::int64_t c = 0; c < channels; ++c) {
    auto at = [&](std::int64_t i, std::int64_t j) { return t[(i * size_x + j) * channels + c]; };
    float upper = at(y0, x0) + fx * (at(y0, x1) - at(y0, x0)), lower = at(y1, x0) + fx * (at(y1, x1) - at(y1, x0));
    out[c] = upper + fy * (lower - upper);
  }
}

// One band of sample rows: nearest surface, then its texture.
class Band {
 public:
  Band(std::int64_t samples, std::int64_t first, std::int64_t last, std::int64_t channels, float background)
      : samples_(samples), first_(first), last_(last), channels_(channels), nearest_(static_cast<std::size_t>((last - first) * samples), 0.0),
        colour_(static_cast<std::size_t>((last - first) * samples * channels), background) {}

  void draw(const ScreenVertex& a, const ScreenVertex& b, const ScreenVertex& c, const Tensor& texture) {
    double area = (b.x - a.x) * (c.y - a.y) - (c.x - a.x) * (b.y - a.y);
    if (area == 0) return;
    auto [x_lo, x_hi] = std::minmax({a.x, b.x, c.x});
    auto [y_lo, y_hi] = std::minmax({a.y, b.y, c.y});
    std::int64_t i0 = std::max(first_, static_cast<std::int64_t>(std::ceil(y_lo - 0.5)));
    std::int64_t i1 = std::min(last_ - 1, static_cast<std::int64_t>(std::floor(y_hi - 0.5)));
    std::int64_t j0 = std::max<std::int64_t>(0, static_cast<std::int64_t>(std::ceil(x_lo - 0.5)));
    std::int64_t j1 = std::min(samples_ - 1, static_cast<std::int64_t>(std::floor(x_hi - 0.5)));
    for (std::int64_t i = i0; i <= i1; ++i)
      for (std::int64_t j = j0; j <= j1; ++j) {
        double x = static_cast<double>(j) + 0.5, y = static_cast<double>(i) + 0.5;
        double wb = ((x - a.x) * (c.y - a.y) - (c.x - a.x) * (y - a.y)) / area;
        double wc = ((b.x - a.x) * (y - a.y) - (x - a.x) * (b.y - a.y)) / area;
        double wa = 1 - wb - wc;
        if (wa < 0 || wb < 0 || wc < 0) continue;
        double w = wa * a.w + wb * b.w + wc * c.w;
        std::size_t at = static_cast<std::size_t>((i - first_) * samples_ + j);
        if (w <= nearest_[at]) continue;
        nearest_[at] = w;
        sample_texture(texture, (wa * a.u + wb * b.u + wc * c.u) / w, (wa * a.v + wb * b.v + wc * c.v) / w,
                       colour_.data() + at * static_cast<std::size_t>(channels_));
      }
  }

  // Averages k x k samples into the rows of the image that this band covers.
  void resolve(int k, std::int64_t size, float* out) const {
    float share = 1.0f / static_cast<float>(k * k);
    for (std::int64_t i = first_ / k; i < last_ / k; ++i)
      for (std::int64_t j = 0; j < size; ++j)
        for (std::int64_t c = 0; c < channels_; ++c) {
          float total = 0;
          for (std::int64_t u = 0; u < k; ++u)
            for (std::int64_t v = 0; v < k; ++v)
              total += colour_[static_cast<std::size_t>(((i * k + u - first_) * samples_ + j * k + v) * channels_ + c)];
          out[(i * size + j) * channels_ + c] = total * share;
        }
  }

 private:
  std::int64_t samples_, first_, last_, channels_;
  std::vector<double> nearest_;  // largest 1 / depth so far
  std::vector<float> colour_;
};

}  // namespace

Tensor render_mesh(const TexturedMesh& mesh, const Tensor& texture, const MeshView& view) {
  check(texture.rank() == 4 && texture.dim(0) == 1, "render_mesh", "texture must be [1,T,T,C], got ", describe(texture));
  std::int64_t samples = view.size * view.supersample, channels = texture.dim(3);
  std::vector<ScreenVertex> vertices = project(mesh, view, samples);
  Tensor out = Tensor::empty({1, view.size, view.size, channels});
  float* pixels = out.mutable_data<float>();
  constexpr std::int64_t rows_per_band = 32;  // pixels; the bands do not depend on the number of threads
  parallel_blocks(view.size, rows_per_band, [&](std::int64_t begin, std::int64_t end) {
    Band band(samples, begin * view.supersample, end * view.supersample, channels, static_cast<float>(view.background));
    for (const auto& t : mesh.triangles) band.draw(vertices[t[0]], vertices[t[1]], vertices[t[2]], texture);
    band.resolve(view.supersample, view.size, pixels);
  });
  return out;
}

}  // namespace g2s
