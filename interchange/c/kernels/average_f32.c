/* The average of every window: clamp(rne(sum * multiplier + zero)). */
static void average_pool(const window *p, const uint8_t *x, int32_t input_zero, float multiplier, int32_t zero,
                         int32_t lowest, int32_t highest, uint8_t *y) {
  int32_t row, column, c;
  for (row = 0; row < p->out_height; ++row) {
    for (column = 0; column < p->out_width; ++column) {
      for (c = 0; c < p->channels; ++c) {
        const float total = alone((float)sum_of_window(p, x, input_zero, row, column, c));
        *y++ = nearest_code(alone(alone(total * multiplier) + (float)zero), lowest, highest);
      }
    }
  }
}
