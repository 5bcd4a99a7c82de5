// Arguments of the depth-mesh rasteriser. T is float or double.
//
// Samples lie at the integers of the screen: a projected point (u, v), in pixels, is at (s u - 1/2, s v - 1/2), s being `supersample`. In f64
// it is projected with 1/(z + 1e-9), as the reference does; depth is interpolated with 1/z.
// Cell (y, x) of the grid of points has the corners a = (y,x), b = (y+1,x), c = (y,x+1), d = (y+1,x+1) and the triangles abc and cbd.
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

template <class T>
struct DepthMeshArgs {
  std::int64_t batch, height, width;  // of the points
  std::int64_t supersample;           // s: there are s height x s width samples
  std::int64_t vertex_stride;         // of a row of `screen`, at least mesh_vertex_stride(width); on CUDA width
  std::int64_t sample_stride;         // of a row of samples, at least mesh_sample_stride(s width); on CUDA s width
  std::int64_t bands;                 // pieces of rows that an image is cut into on the CPU
  T focal, cx, cy;                    // pixels
  T near, far;                        // only samples with near < depth < far are drawn; background is `far`
  T clamp_lo, clamp_hi;               // of the average over a pixel's samples
  const T* points;                    // [batch,height,width,3]
  T* screen;                          // [batch,3,height,vertex_stride]: x and y on the screen and 1/z; NaN where not drawable and in the padding
  T* row_range;                       // CPU: [batch,height,2]: smallest and largest screen y of a row of vertices
  T* sample_depth;                    // CPU: [batch,s height,sample_stride]: z-buffer
  unsigned long long* keys;           // CUDA: the same in bits of depth, in f32 above the triangle's 32
  std::int32_t* samples;              // [batch,s height,sample_stride]: the triangle seen (see mesh_kind_shift), -1: none, or its pixel is clamped
  T* depth;                           // [batch,height,width]: output of the forward kernel
  const T* ddepth;                    // [batch,height,width]
  // Scratch of the backward kernel for gradients to screen x, y and 1/z. CPU: [batch,bands,height,vertex_stride,4] of each band's vertices.
  // CUDA: [4,3,batch,height-1,width-1] of each cell's corners.
  T* gather;
  std::int64_t* gather_range;         // CPU: [batch,bands,2]: rows of vertices that a band wrote in `gather`, first and behind the last
  T* dpoints;                         // [batch,height,width,3]: output of the backward kernel
};

// A triangle is kind << mesh_kind_shift | (y vertex_stride + x) of its cell. Kinds: 0 abc, 1 cbd, 2 abc seen from behind, 3 cbd seen from behind.
// Of two triangles at the same depth the lower number is seen.
constexpr int mesh_kind_shift = 28;
constexpr std::int64_t mesh_padding = 16;  // the most lanes of a vector

inline constexpr std::int64_t mesh_vertex_stride(std::int64_t width) { return (width + mesh_padding) / mesh_padding * mesh_padding; }
inline constexpr std::int64_t mesh_sample_stride(std::int64_t samples) { return (samples + 2 * mesh_padding - 1) / mesh_padding * mesh_padding; }
// Enough pieces for parallel work, of at least 16 rows each.
inline constexpr std::int64_t mesh_bands(std::int64_t batch, std::int64_t height) {
  std::int64_t wanted = (16 + batch - 1) / (batch > 0 ? batch : 1), available = height / 16;
  return available < 1 ? 1 : wanted < available ? wanted : available;
}

G2S_REAL_KERNEL(depth_mesh_kernel, DepthMeshArgs)
G2S_REAL_KERNEL(depth_mesh_backward_kernel, DepthMeshArgs)

}  // namespace g2s::kernels
