// Latents of the generator as this program and others leave them in files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s {
namespace convert G2S_EXPORTED {

struct LatentSpace {
  std::int64_t width = 512;  // D, of a style
  std::int64_t styles = 10;  // L, of a code in W+
};

struct StoredLatents {
  Tensor latents;                     // f32 [N,D] (in W) or [N,L,D] (W+)
  std::vector<std::string> pictures;  // the names of files that they are stored under, N or none
  std::vector<std::string> notes;     // what is not used, one sentence each

  std::int64_t count() const { return latents.dim(0); }
  Tensor at(std::int64_t i) const;                 // [1,D] or [1,L,D]
  std::int64_t of(const std::string& stem) const;  // which is stored under a file of that stem; -1: none, or several
};

// Any file that open_checkpoint() reads with one latent or several: .npy (also halves, Fortran order, dictionaries), NVIDIA's
// projected_w.npz, .pt of rosinality's projector (by file name), of GAN2Shape, pSp and e4e, .safetensors. A tensor is [D], [N,D], [N,1,D]
// or [N,L,D]. [L,D] may be one code in W+ or L in W: it is the former where one picture is wanted, else an error that asks. `wanted`: how
// many pictures there are; 0: as many as the file has. Throws naming the file (and tensor) if it has none of these, or numbers that are not
// finite.
StoredLatents read_latents(const std::string& path, const LatentSpace& space, std::int64_t wanted);

}  // namespace G2S_EXPORTED
}  // namespace g2s
