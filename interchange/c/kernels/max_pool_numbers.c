/* The largest number of every window; NaN counts as the largest. */
static void max_pool_numbers(const window *p, const float *x, float *y) {
  int32_t row, column, c, i, j;
  for (row = 0; row < p->out_height; ++row) {
    for (column = 0; column < p->out_width; ++column) {
      for (c = 0; c < p->channels; ++c) {
        float most = 0.0F;
        int32_t seen = 0;
        for (i = 0; i < p->kernel_height; ++i) {
          const int32_t line = row * p->stride_y - p->top + i;
          for (j = 0; j < p->kernel_width; ++j) {
            const int32_t pixel = column * p->stride_x - p->left + j;
            if (line >= 0 && line < p->height && pixel >= 0 && pixel < p->width) {
              const float number = x[(line * p->width + pixel) * p->channels + c];
              most = seen++ == 0 || number > most || number != number ? number : most;
            }
          }
        }
        *y++ = most;
      }
    }
  }
}
