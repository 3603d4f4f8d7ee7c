/* The same with a table a channel. */
static void look_up_by_channel(const uint8_t *tables, const uint8_t *x, int32_t pixels, int32_t channels, uint8_t *y) {
  int32_t p, c;
  for (p = 0; p < pixels; ++p) {
    for (c = 0; c < channels; ++c) {
      y[p * channels + c] = tables[c * 256 + x[p * channels + c]];
    }
  }
}
