/* Copies the codes that one output pixel sees of a group's channels, `block` channels at a time, to `patch`:
 * [block][kernel row][kernel column][channel of the block]. */
static void gather(const product *p, const uint8_t *x, int32_t row, int32_t column, int32_t group, int32_t block,
                   uint8_t *patch) {
  const int32_t channels = p->channels / p->groups;
  int32_t begin, i, j, c;
  for (begin = 0; begin < channels; begin += block) {
    const int32_t count = smaller(block, channels - begin);
    for (i = 0; i < p->kernel_height; ++i) {
      const int32_t line = row * p->stride_y - p->top + i * p->dilation_y;
      for (j = 0; j < p->kernel_width; ++j) {
        const int32_t pixel = column * p->stride_x - p->left + j * p->dilation_x;
        if (line >= 0 && line < p->height && pixel >= 0 && pixel < p->width) {
          const uint8_t *from = x + (line * p->width + pixel) * p->channels + group * channels + begin;
          for (c = 0; c < count; ++c) {
            *patch++ = from[c];
          }
        } else {
          for (c = 0; c < count; ++c) {
            *patch++ = p->input_zero;
          }
        }
      }
    }
  }
}
