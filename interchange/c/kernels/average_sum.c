/* The sum of code - zero over one window of channel c. */
static int32_t sum_of_window(const window *p, const uint8_t *x, int32_t zero, int32_t row, int32_t column, int32_t c) {
  int32_t total = 0;
  int32_t i, j;
  for (i = 0; i < p->kernel_height; ++i) {
    const int32_t line = row * p->stride_y - p->top + i;
    for (j = 0; j < p->kernel_width; ++j) {
      const int32_t pixel = column * p->stride_x - p->left + j;
      if (line >= 0 && line < p->height && pixel >= 0 && pixel < p->width) {
        total += x[(line * p->width + pixel) * p->channels + c] - zero;
      }
    }
  }
  return total;
}
