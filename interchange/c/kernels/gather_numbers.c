/* Copies the numbers that one output pixel sees of a group's channels, as codes are gathered; outside of the image is 0. */
static void gather_numbers(const product *p, const float *x, int32_t row, int32_t column, int32_t group, float *patch) {
  const int32_t channels = p->channels / p->groups;
  int32_t begin, i, j, c;
  for (begin = 0; begin < channels; begin += p->block) {
    const int32_t count = smaller(p->block, channels - begin);
    for (i = 0; i < p->kernel_height; ++i) {
      const int32_t line = row * p->stride_y - p->top + i * p->dilation_y;
      for (j = 0; j < p->kernel_width; ++j) {
        const int32_t pixel = column * p->stride_x - p->left + j * p->dilation_x;
        if (line >= 0 && line < p->height && pixel >= 0 && pixel < p->width) {
          const float *from = x + (line * p->width + pixel) * p->channels + group * channels + begin;
          for (c = 0; c < count; ++c) {
            *patch++ = from[c];
          }
        } else {
          for (c = 0; c < count; ++c) {
            *patch++ = 0.0F;
          }
        }
      }
    }
  }
}
