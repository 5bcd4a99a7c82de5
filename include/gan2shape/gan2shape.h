/* gan2shape: generators, LPIPS, object masks and whole 3D reconstructions of single pictures, in C99.
 *
 * Calls. Every function that can fail returns a g2s_status. G2S_OK is 0. After a failure g2s_last_error() says, in this thread, what went wrong
 * and names the file, the option or the argument at fault. No exception crosses this header and nothing is printed. What a failed call was to
 * write is unspecified in arrays of the caller, and outputs of handles are set to 0.
 *
 * Handles. g2s_context, g2s_generator, ... are names of objects that the library owns, not addresses. Each function g2s_X_new, g2s_X_load or
 * g2s_..._get that gives one is matched by g2s_X_free. 0 is no object; freeing it does nothing. A handle that was freed, or is of another type,
 * is refused with G2S_INVALID_ARGUMENT by every call. An object keeps alive what it was made with, so handles may be freed in any order, and a
 * call of another thread that is still running ends well.
 *
 * Threads. Any function may be called from any thread. Calls on one fit, and calls in a context with a stream of the caller's, must not
 * overlap in time: such a call is refused with G2S_BUSY. All others may. Two contexts know nothing of each other. Results have the same bits
 * at any number of threads.
 *
 * Arrays. g2s_array describes memory of the caller. Images are f32 in [-1,1], or u8 in 0 to 255 where stated, in the order [batch, height,
 * width, channel]; where there is one picture the batch may be left out. Arrays that are read may be f32, f64, f16, bf16 or, for images, u8;
 * arrays that are written may be f32, f64, f16, bf16 or, for images, u8 (clamped and rounded). An array on a CUDA device is taken in a context
 * on that device, and what wrote it must have finished, unless the context has the stream that wrote it. Calls return when all is written.
 *
 * Text is UTF-8 and ends with a zero byte. A text that is returned as const char* belongs to the library.
 *
 * Versions. The library's name carries the version of its binary interface (libgan2shape.so.0). Within it functions, options in structures that
 * begin with their size, and values of enumerations are only added. */
#ifndef GAN2SHAPE_GAN2SHAPE_H
#define GAN2SHAPE_GAN2SHAPE_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define G2S_API
#else
#define G2S_API __attribute__((visibility("default")))
#endif

#define G2S_VERSION_MAJOR 0
#define G2S_VERSION_MINOR 1
#define G2S_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/* ---- versions and errors ---------------------------------------------------------------------------------------------------------------- */

/* "0.1.0", of the library that runs, which may be newer than this header. */
G2S_API const char* g2s_version(void);

typedef enum g2s_status {
  G2S_OK = 0,
  G2S_INVALID_ARGUMENT = 1, /* a null pointer, a handle that is none, a value outside what is accepted */
  G2S_SHAPE_MISMATCH = 2,   /* shapes or element types that do not fit together */
  G2S_IO = 3,               /* a file or folder could not be read or written */
  G2S_FORMAT = 4,           /* a file or text was read but its content is not what it should be */
  G2S_UNSUPPORTED = 5,      /* valid, but not available in this build or on this device; such as cuda where there is none */
  G2S_OUT_OF_MEMORY = 6,
  G2S_CANCELLED = 7, /* g2s_context_cancel() was called, or a callback asked to stop */
  G2S_INTERNAL = 8,  /* a mistake of the library's */
  G2S_BUSY = 9       /* the object is in use by another thread */
} g2s_status;

/* "invalid argument" and so on; "unknown status" for a number that is none. */
G2S_API const char* g2s_status_name(g2s_status status);

/* What the last call that failed in this thread had to say, "" if none did. Valid until the next call in this thread. */
G2S_API const char* g2s_last_error(void);

/* ---- arrays ------------------------------------------------------------------------------------------------------------------------------ */

#define G2S_MAX_RANK 6

typedef enum g2s_dtype { G2S_F32 = 0, G2S_F64 = 1, G2S_BF16 = 2, G2S_F16 = 3, G2S_I32 = 4, G2S_U8 = 5 } g2s_dtype;
typedef enum g2s_device_type { G2S_CPU = 0, G2S_CUDA = 1 } g2s_device_type;

/* A view of memory that somebody else owns. The library keeps none of it after the call, but for g2s_tensor_view(). */
typedef struct g2s_array {
  void* data;                    /* the first element; aligned to the element's size */
  int32_t rank;                  /* 0 to G2S_MAX_RANK */
  int32_t dtype;                 /* g2s_dtype */
  int32_t device_type;           /* g2s_device_type */
  int32_t device_index;          /* of the CUDA device */
  int64_t shape[G2S_MAX_RANK];   /* each 0 or more; entries from `rank` on are ignored */
  int64_t strides[G2S_MAX_RANK]; /* in elements; where it is read 0 or negative too, where it is written no two elements in one place */
} g2s_array;

/* A contiguous row-major array on the CPU. `shape` has `rank` entries. Of a rank that is too large `rank` becomes -1, which calls refuse. */
G2S_API g2s_array g2s_array_of(void* data, g2s_dtype dtype, int32_t rank, const int64_t* shape);

/* Handles. */
typedef struct g2s_context_s* g2s_context;
typedef struct g2s_tensor_s* g2s_tensor;
typedef struct g2s_generator_s* g2s_generator;
typedef struct g2s_lpips_s* g2s_lpips;
typedef struct g2s_masker_s* g2s_masker;
typedef struct g2s_faces_s* g2s_faces;
typedef struct g2s_fit_s* g2s_fit;
typedef struct g2s_text_s* g2s_text;

/* An array that the library owns: contiguous, never changed after it was made. */
G2S_API g2s_status g2s_tensor_view(g2s_tensor tensor, g2s_array* view); /* valid until the tensor is freed; not to be written to */
G2S_API g2s_status g2s_tensor_free(g2s_tensor tensor);

/* DLPack (dlpack.h, versions before 1.0: DLManagedTensor). Nothing is copied.
 * to_dlpack: *managed shares the memory; its deleter is to be called once by the receiver, from any thread, and may outlive all handles.
 * from_dlpack: takes `managed` over, and calls its deleter when the tensor is freed; after a failure it is still the caller's. It must be
 * contiguous, of an element type of g2s_dtype, on the CPU or on a CUDA device; and what wrote it must have finished. */
struct DLManagedTensor;
G2S_API g2s_status g2s_tensor_to_dlpack(g2s_tensor tensor, struct DLManagedTensor** managed);
G2S_API g2s_status g2s_tensor_from_dlpack(struct DLManagedTensor* managed, g2s_tensor* tensor);

/* A text that the library owns. */
G2S_API const char* g2s_text_get(g2s_text text); /* "" for what is no text; valid until it is freed */
G2S_API g2s_status g2s_text_free(g2s_text text);

/* ---- contexts ---------------------------------------------------------------------------------------------------------------------------- */

/* How far long work is. */
typedef struct g2s_progress {
  uint32_t struct_size; /* of what the library filled in */
  int32_t has_loss;
  const char* stage;   /* "projection", "prior", "stage 1/4 step2", ... "done"; valid during the callback */
  int64_t step, steps; /* of this stage, done so far and in all */
  double loss;         /* if has_loss */
  double seconds;      /* since the beginning of the fit */
  double seconds_left; /* of all of it, an estimate; negative: not known yet */
} g2s_progress;

/* A sentence for the user. */
typedef void (*g2s_log_callback)(void* user, const char* sentence);
/* Returns 0 to go on; anything else cancels the call that reports, which then returns G2S_CANCELLED. */
typedef int (*g2s_progress_callback)(void* user, const g2s_progress* progress);

typedef struct g2s_context_options {
  uint32_t struct_size;  /* set by g2s_context_options_init() */
  int32_t threads;       /* 0: as many as the process may run on */
  const char* device;    /* "cpu", "cuda", "cuda:1", or "auto": cuda where there is one that runs, else cpu. Null: "cpu" */
  void* stream;          /* a cudaStream_t of the caller's, on which all work is done; it outlives the context. Null: streams of its own */
  const char* precision; /* "f32" or "bf16" (products of matrices and convolutions of rounded factors, summed in f32). Null: "f32" */
  uint64_t memory_limit; /* bytes, 0: none. Fits take batches in parts to stay below, and one that cannot is refused. Memory that
                          * is idle is given back rather than held beyond it. On a CUDA device more is never taken: G2S_OUT_OF_MEMORY */
  const char* assets;    /* the folder of the default weights; null: $GAN2SHAPE_ASSETS, else found beside the library */
  /* Both may be null. They are called from the thread that calls the library, or from one that helps it, never at once, and may call the library
   * (in a context with a stream such a call is refused with G2S_BUSY). */
  g2s_log_callback log;
  g2s_progress_callback progress;
  void* user; /* handed to both */
} g2s_context_options;

G2S_API void g2s_context_options_init(g2s_context_options* options);
/* options null: as g2s_context_options_init() leaves them. */
G2S_API g2s_status g2s_context_new(const g2s_context_options* options, g2s_context* context);
G2S_API g2s_status g2s_context_free(g2s_context context);

/* Stops what runs in this context as soon as it can, from any thread (not from a signal handler), and refuses work that comes: G2S_CANCELLED,
 * until g2s_context_resume(). A fit that was stopped goes on from there with the next step. */
G2S_API g2s_status g2s_context_cancel(g2s_context context);
G2S_API g2s_status g2s_context_resume(g2s_context context);

/* {"device": "cpu", "threads": 2, "instruction_set": "v3", "assets": "/usr/share/gan2shape/assets", ...} as JSON. */
G2S_API g2s_status g2s_context_describe(g2s_context context, g2s_text* text);

/* ---- pictures in files ------------------------------------------------------------------------------------------------------------------- */

/* PNG, JPEG, BMP, GIF (its first frame) or PNM, upright: u8 [H,W,3], or [H,W,4] with transparency, on the CPU. */
G2S_API g2s_status g2s_picture_read(const char* path, g2s_tensor* picture);
/* As PNG: u8, or images in [-1,1]; [H,W,C] or [1,H,W,C] with 1, 3 or 4 channels. */
G2S_API g2s_status g2s_picture_write(const char* path, const g2s_array* picture);

/* ---- generators: StyleGAN2 and MobileStyleGAN -------------------------------------------------------------------------------------------- */

typedef struct g2s_generator_info {
  uint32_t struct_size; /* set by the caller: sizeof(g2s_generator_info) */
  int32_t size;         /* pictures are [B,size,size,3] */
  int32_t latent;       /* D: z and w are [B,D] */
  int32_t latents;      /* L: W+ is [B,L,D] */
} g2s_generator_info;

/* path: a .safetensors file of `gan2shape convert`, whose tensors say which of them it is. Null: the StyleGAN2 of the assets. */
G2S_API g2s_status g2s_generator_load(g2s_context context, const char* path, g2s_generator* generator);
G2S_API g2s_status g2s_generator_free(g2s_generator generator);
G2S_API g2s_status g2s_generator_get_info(g2s_generator generator, g2s_generator_info* info);

/* z [B,D], normally distributed -> w [B,D]. */
G2S_API g2s_status g2s_generator_mapping(g2s_generator generator, const g2s_array* z, const g2s_array* w);
/* The mean of w over `samples` random z: [D] or [1,D]. */
G2S_API g2s_status g2s_generator_mean_latent(g2s_generator generator, uint64_t seed, int64_t samples, const g2s_array* w);
/* w [B,D] or [B,L,D] -> picture [B,size,size,3], not clamped but for u8, with the stored noise. */
G2S_API g2s_status g2s_generator_picture(g2s_generator generator, const g2s_array* w, const g2s_array* picture);
/* The vector-Jacobian product: dw = sum of dpicture * d picture / d w, of the shape of w. picture may be null; else it is written too.
 * dpicture is a gradient, f32 and so on, not u8. */
G2S_API g2s_status g2s_generator_vjp(g2s_generator generator, const g2s_array* w, const g2s_array* dpicture, const g2s_array* picture,
                                     const g2s_array* dw);

/* ---- the perceptual distance LPIPS v0.1 (VGG16) ------------------------------------------------------------------------------------------ */

/* path null: the weights of the assets. */
G2S_API g2s_status g2s_lpips_load(g2s_context context, const char* path, g2s_lpips* lpips);
G2S_API g2s_status g2s_lpips_free(g2s_lpips lpips);
/* a, b [B,H,W,3], H and W 16 or more -> distance [B], of one pair also []. */
G2S_API g2s_status g2s_lpips_distance(g2s_lpips lpips, const g2s_array* a, const g2s_array* b, const g2s_array* distance);
/* da = d (sum of the distances) / da, db likewise: in units of images in [-1,1], whatever a and b are. distance, da or db may be null, not
 * both of da and db. */
G2S_API g2s_status g2s_lpips_gradient(g2s_lpips lpips, const g2s_array* a, const g2s_array* b, const g2s_array* distance, const g2s_array* da,
                                      const g2s_array* db);

/* ---- the object mask (U-2-Net-p) --------------------------------------------------------------------------------------------------------- */

/* path null: the weights of the assets. */
G2S_API g2s_status g2s_masker_load(g2s_context context, const char* path, g2s_masker* masker);
G2S_API g2s_status g2s_masker_free(g2s_masker masker);
/* picture [H,W,3] -> mask [H,W]: 1 on what stands out, 0 elsewhere; a mask of u8 has 255 and 0. */
G2S_API g2s_status g2s_masker_find(g2s_masker masker, const g2s_array* picture, const g2s_array* mask);

/* ---- faces in a picture ------------------------------------------------------------------------------------------------------------------- */

/* folder: with face_detector.safetensors and face_landmarks.safetensors; null: the assets. They run on the CPU, whatever the context's device. */
G2S_API g2s_status g2s_faces_load(g2s_context context, const char* folder, g2s_faces* faces);
G2S_API g2s_status g2s_faces_free(g2s_faces faces);
/* picture [H,W,3], upright -> the faces in it as a JSON array, the largest first; empty if there is none. docs/faces.md has the fields. */
G2S_API g2s_status g2s_faces_find(g2s_faces faces, const g2s_array* picture, g2s_text* text);
/* picture [H,W,3] and the four corners of a face's frame, [4,2] -> aligned [S,S,3]: the frame as a picture, antialiased, mirrored beyond the
 * picture's edges. */
G2S_API g2s_status g2s_faces_align(g2s_faces faces, const g2s_array* picture, const g2s_array* frame, const g2s_array* aligned);

/* ---- a reconstruction -------------------------------------------------------------------------------------------------------------------- */

/* Prepares a fit of one picture, u8 or in [-1,1], [H,W,3] or with its transparency [H,W,4] (-1 or 0 is transparent, 1 or 255 is not), 32 pixels
 * wide and high or more; what is not u8 is rounded to it. mask: [H,W], the object where it is not 0, or null: transparency says it, else it is
 * found.
 * options: JSON, or null for the defaults of `gan2shape reconstruct`; unknown names are refused:
 *   {"preset": "default", "quality": "standard", "crop": "auto", "align": "auto", "face": "largest", "size": 0, "views": "directions",
 *    "seed": 0, "scale": 1.0, "weights": "FOLDER", "force": false, "latent": [[...]]}
 *   size: 0 is the preset's, as are the views that are not given. latent: [D] or [L][D] numbers, or as g2s_fit_get() gives it; without it the picture
 *   is projected. force: see g2s_fit_export().
 * G2S_FORMAT if the options are no JSON object, G2S_INVALID_ARGUMENT naming the option that is not accepted, the picture or the mask.
 * Fits of the same settings in one context share their weights, and those of the last one are kept for the next. The fit works in the context,
 * whose memory_limit is this fit's. Its log hears what was done to the picture. */
G2S_API g2s_status g2s_fit_new(g2s_context context, const g2s_array* picture, const g2s_array* mask, const char* options, g2s_fit* fit);
G2S_API g2s_status g2s_fit_free(g2s_fit fit);

/* Runs up to `iterations` more of them, all that are left if negative. *done becomes 1 when the fit is finished (done may be null). The bits do
 * not depend on how the work is cut. The context's progress callback is called after each iteration; if it asks to stop, this call returns
 * G2S_CANCELLED and the next one goes on from there. After any other failure only g2s_fit_resume() helps. */
G2S_API g2s_status g2s_fit_step(g2s_fit fit, int64_t iterations, int32_t* done);

/* How far it is: as the callback has it, but at the end of a stage it is at the beginning of the next, at last "done". The caller sets
 * progress->struct_size to sizeof(g2s_progress) before. `stage` is valid until the fit is freed. */
G2S_API g2s_status g2s_fit_get_progress(g2s_fit fit, g2s_progress* progress);

/* The whole state as a file, and back into a fit of the same picture, options and weights, which goes on to the same bits; anything else is
 * refused with what differs, and the fit stays as it was. */
G2S_API g2s_status g2s_fit_save(g2s_fit fit, const char* path);
G2S_API g2s_status g2s_fit_resume(g2s_fit fit, const char* path);

/* Results of a finished fit, on the CPU; G2S_INVALID_ARGUMENT before. What takes time is made once and kept. S is the size the fit works at, T
 * that of the texture.
 *   "input" [S,S,3], "mask" [S,S]                    what was fitted, and the object in it
 *   "depth" [S,S]                                    of the input view, in the camera's units, 0 where the mesh is not seen
 *   "normal" [S,S,3], "albedo" [S,S,3], "canonical_depth" [S,S], "canonical_mask" [S,S]    seen from the front
 *   "texture" [S,S,3]                                albedo in the input's light, seen from the front
 *   "reconstruction" [S,S,3]                         the input as the shape explains it
 *   "view" [6], "light" [4]                          rotation in radians (pitch, yaw, roll) and translation; the light of the networks
 *   "latent" [1,D] or [1,L,D]                        of the generator's picture that was fitted; "projection" [S,S,3] is that picture
 *   "mesh.positions" [V,3], "mesh.normals" [V,3], "mesh.uvs" [V,2], "mesh.triangles" i32 [F,3], "mesh.texture" u8 [T,T,3]
 *                                                    as in mesh.obj: y up, z to the viewer, the image one unit wide; uv (0,0) is top left
 *   "views/mesh_yaw+35.0", "relight/gan_dx+0.7_dy0.6_a0.6", ...   u8 [256,256,3] and [S,S,3]: pictures as the folder has them, by their file names
 *   "overview" u8 [H,W,3]                            all at a glance
 * f32 where nothing else is said; images in [-1,1]. "normal" has unit vectors that point into the object (x right, y down, z away from the
 * camera), "mesh.normals" such that point out of it. */
G2S_API g2s_status g2s_fit_get(g2s_fit fit, const char* name, g2s_tensor* tensor);
/* All names that g2s_fit_get() takes, as a JSON array. */
G2S_API g2s_status g2s_fit_names(g2s_fit fit, g2s_text* text);
/* What result.json says of a finished fit: losses, phases, notes, the camera, the settings. Its "picture" has no "file", and a mask that was
 * given is "given". */
G2S_API g2s_status g2s_fit_describe(g2s_fit fit, g2s_text* text);
/* Everything as a folder, as `gan2shape reconstruct` writes it; it appears when it is complete, in the place of an earlier result of this fit.
 * That of another fit (picture, mask, latent, settings, seed or weights) is replaced only with the option "force", else it is
 * G2S_INVALID_ARGUMENT naming all that differs. A folder of other files is never replaced, and of several processes that write one folder all
 * but the first are refused: G2S_IO. */
G2S_API g2s_status g2s_fit_export(g2s_fit fit, const char* folder);

#ifdef __cplusplus
}
#endif

#endif
