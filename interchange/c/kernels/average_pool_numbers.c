/* The average of every window, which counts what lies outside of the image as 0. */
static void average_pool_numbers(const window *p, const float *x, float *y) {
  int32_t row, column, c, i, j;
  for (row = 0; row < p->out_height; ++row) {
    for (column = 0; column < p->out_width; ++column) {
      for (c = 0; c < p->channels; ++c) {
        float total = 0.0F;
        for (i = 0; i < p->kernel_height; ++i) {
          const int32_t line = row * p->stride_y - p->top + i;
          for (j = 0; j < p->kernel_width; ++j) {
            const int32_t pixel = column * p->stride_x - p->left + j;
            if (line >= 0 && line < p->height && pixel >= 0 && pixel < p->width) {
              total = alone(total + x[(line * p->width + pixel) * p->channels + c]);
            }
          }
        }
        *y++ = alone(total / (float)(p->kernel_height * p->kernel_width));
      }
    }
  }
}
