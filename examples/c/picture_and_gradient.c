/* Draws a picture with the generator, and asks in which direction its latent must go for a brighter one.
 * usage: picture_and_gradient [PICTURE.png] */
#include <gan2shape/gan2shape.h>
#include <stdio.h>
#include <stdlib.h>

/* Every call says whether it succeeded. */
static void must(g2s_status status) {
  if (status == G2S_OK) return;
  fprintf(stderr, "%s: %s\n", g2s_status_name(status), g2s_last_error());
  exit(1);
}

static double mean_of(const float* values, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; ++i) sum += values[i];
  return sum / (double)count;
}

int main(int argc, char** argv) {
  g2s_context context;
  g2s_generator generator;
  must(g2s_context_new(NULL, &context));               /* the CPU, all its threads */
  must(g2s_generator_load(context, NULL, &generator)); /* NULL: the generator that comes with the library */
  g2s_generator_info info = {.struct_size = sizeof info};
  must(g2s_generator_get_info(generator, &info));

  /* The library reads and writes our memory; a g2s_array says what is there. */
  const int64_t latent_shape[] = {1, info.latent}, picture_shape[] = {1, info.size, info.size, 3};
  const size_t latents = (size_t)info.latent, pixels = (size_t)info.size * (size_t)info.size * 3;
  float *z = malloc(latents * sizeof *z), *w = malloc(latents * sizeof *w), *dw = malloc(latents * sizeof *dw);
  float *picture = malloc(pixels * sizeof *picture), *dpicture = malloc(pixels * sizeof *dpicture);
  if (!z || !w || !dw || !picture || !dpicture) return 1;
  const g2s_array z_array = g2s_array_of(z, G2S_F32, 2, latent_shape), w_array = g2s_array_of(w, G2S_F32, 2, latent_shape);
  const g2s_array dw_array = g2s_array_of(dw, G2S_F32, 2, latent_shape), picture_array = g2s_array_of(picture, G2S_F32, 4, picture_shape);
  const g2s_array dpicture_array = g2s_array_of(dpicture, G2S_F32, 4, picture_shape);

  for (size_t i = 0; i < latents; ++i) { /* the sum of twelve uniform numbers is nearly normally distributed */
    z[i] = -6;
    for (int k = 0; k < 12; ++k) z[i] += (float)rand() / (float)RAND_MAX;
  }
  must(g2s_generator_mapping(generator, &z_array, &w_array));

  /* Brightness is the mean of all values, so its derivative to each is one over their number. */
  for (size_t i = 0; i < pixels; ++i) dpicture[i] = 1 / (float)pixels;
  must(g2s_generator_vjp(generator, &w_array, &dpicture_array, &picture_array, &dw_array));
  if (argc > 1) must(g2s_picture_write(argv[1], &picture_array));
  const double before = mean_of(picture, pixels);

  for (size_t i = 0; i < latents; ++i) w[i] += 10 * dw[i];
  must(g2s_generator_picture(generator, &w_array, &picture_array));
  printf("brightness %.4f, after a step along the gradient %.4f\n", before, mean_of(picture, pixels));

  free(z), free(w), free(dw), free(picture), free(dpicture);
  must(g2s_generator_free(generator));
  must(g2s_context_free(context));
  return 0;
}
