/* The average of every window, to the nearest code of the input's map, ties away from that of code 128; then to the
 * output's map. */
static void average_pool(const window *p, const uint8_t *x, int32_t input_zero, const uint8_t *to_output, uint8_t *y) {
  const int32_t count = p->kernel_height * p->kernel_width;
  int32_t row, column, c;
  for (row = 0; row < p->out_height; ++row) {
    for (column = 0; column < p->out_width; ++column) {
      for (c = 0; c < p->channels; ++c) {
        const int32_t total = sum_of_window(p, x, input_zero, row, column, c) + count * (input_zero - 128);
        const int32_t average = (total + (total > 0 ? count / 2 : -(count / 2))) / count + 128;
        *y++ = to_output[average < 0 ? 0 : average > 255 ? 255 : average];
      }
    }
  }
}
