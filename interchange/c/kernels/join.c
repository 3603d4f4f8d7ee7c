/* Rows of `columns` codes to rows of `stride`: an input of a concatenation that is on the output's map. */
static void join(const uint8_t *x, int32_t rows, int32_t columns, uint8_t *y, int32_t stride) {
  int32_t r, i;
  for (r = 0; r < rows; ++r) {
    for (i = 0; i < columns; ++i) {
      y[r * stride + i] = x[r * columns + i];
    }
  }
}
