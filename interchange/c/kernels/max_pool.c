/* The largest code of every window: maps are monotone. */
static void max_pool(const window *p, const uint8_t *x, uint8_t *y) {
  int32_t row, column, c, i, j;
  for (row = 0; row < p->out_height; ++row) {
    for (column = 0; column < p->out_width; ++column) {
      for (c = 0; c < p->channels; ++c) {
        uint8_t most = 0;
        for (i = 0; i < p->kernel_height; ++i) {
          const int32_t line = row * p->stride_y - p->top + i;
          for (j = 0; j < p->kernel_width; ++j) {
            const int32_t pixel = column * p->stride_x - p->left + j;
            if (line >= 0 && line < p->height && pixel >= 0 && pixel < p->width) {
              const uint8_t code = x[(line * p->width + pixel) * p->channels + c];
              most = code > most ? code : most;
            }
          }
        }
        *y++ = most;
      }
    }
  }
}
