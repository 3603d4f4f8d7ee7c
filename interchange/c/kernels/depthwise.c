/* A convolution whose outputs see one channel each. Its weights have 8 bits, and its sums no start: what lies outside of
 * the image is left out. */
static void convolve_depthwise(const product *p, const uint8_t *x, uint8_t *y) {
  const int32_t of_channel = p->outputs / p->channels;
  const int32_t step = p->dilation_x * p->channels;
  int32_t row, column, o, i, j;
  for (row = 0; row < p->out_height; ++row) {
    const int32_t line = row * p->stride_y - p->top;
    int32_t first_line = 0, end_line = p->kernel_height;
    while (first_line < end_line && line + first_line * p->dilation_y < 0) {
      ++first_line;
    }
    while (end_line > first_line && line + (end_line - 1) * p->dilation_y >= p->height) {
      --end_line;
    }
    for (column = 0; column < p->out_width; ++column) {
      const int32_t pixel = column * p->stride_x - p->left;
      int32_t first = 0, end = p->kernel_width;
      while (first < end && pixel + first * p->dilation_x < 0) {
        ++first;
      }
      while (end > first && pixel + (end - 1) * p->dilation_x >= p->width) {
        --end;
      }
      for (o = 0; o < p->outputs; ++o) {
        const int8_t *weight = (const int8_t *)p->weight + o * p->row_bytes;
        int32_t sum = 0;
        for (i = first_line; i < end_line; ++i) {
          const int32_t at = ((line + i * p->dilation_y) * p->width + pixel) * p->channels + o / of_channel;
          for (j = first; j < end; ++j) {
            sum += (x[at + j * step] - p->input_zero) * weight[i * p->kernel_width + j];
          }
        }
        *y++ = code_of_sum(p, o, sum);
      }
    }
  }
}
