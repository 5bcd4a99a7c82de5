/* Reconstructs a picture in memory, with a bar that says how far it is. Ctrl-C stops it.
 * usage: reconstruct PICTURE FOLDER [OPTIONS], such as reconstruct face.png out '{"quality": "draft"}' */
#include <gan2shape/gan2shape.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static volatile sig_atomic_t interrupted = 0;
static void interrupt(int number) { interrupted = number; }

static void must(g2s_status status) {
  if (status == G2S_OK) return;
  fprintf(stderr, "\n%s: %s\n", g2s_status_name(status), g2s_last_error());
  exit(1);
}

/* What it returns is whether to stop. */
static int show(void* user, const g2s_progress* p) {
  const int width = 30, done = p->steps > 0 ? (int)(p->step * width / p->steps) : 0;
  (void)user;
  fprintf(stderr, "\r%-24s [", p->stage);
  for (int i = 0; i < width; ++i) fputc(i < done ? '#' : '.', stderr);
  fprintf(stderr, "] %4.0f s", p->seconds);
  if (p->seconds_left >= 0) fprintf(stderr, ", %4.0f s to go", p->seconds_left);
  return interrupted;
}

int main(int argc, char** argv) {
  if (argc < 3) return fprintf(stderr, "usage: %s PICTURE FOLDER [OPTIONS]\n", argv[0]), 2;
  signal(SIGINT, interrupt);
  g2s_context_options options;
  g2s_context_options_init(&options); /* sets the defaults; change what you like after it */
  options.progress = show;
  g2s_context context;
  must(g2s_context_new(&options, &context));

  g2s_tensor photo, depth; /* a tensor's memory is the library's; its view says where that is */
  g2s_array pixels, view;
  must(g2s_picture_read(argv[1], &photo));
  must(g2s_tensor_view(photo, &pixels));

  g2s_fit fit;
  must(g2s_fit_new(context, &pixels, NULL, argc > 3 ? argv[3] : NULL, &fit)); /* NULL: the object's mask is found */
  must(g2s_fit_step(fit, -1, NULL));                                          /* all iterations */

  must(g2s_fit_get(fit, "depth", &depth));
  must(g2s_tensor_view(depth, &view));
  const float* z = view.data;
  float nearest = 1e9f;
  for (int64_t i = 0; i < view.shape[0] * view.shape[1]; ++i)
    if (z[i] > 0 && z[i] < nearest) nearest = z[i]; /* 0 is background */
  must(g2s_fit_export(fit, argv[2]));               /* mesh, views and all else */
  printf("\n%d x %d depths, the nearest %.4f; all of it is in %s\n", (int)view.shape[1], (int)view.shape[0], (double)nearest, argv[2]);

  must(g2s_fit_free(fit)), must(g2s_tensor_free(depth)), must(g2s_tensor_free(photo));
  must(g2s_context_free(context));
  return 0;
}
