/* Rows of `columns` numbers to rows of `stride`: an input of a concatenation. */
static void join_numbers(const float *x, int32_t rows, int32_t columns, float *y, int32_t stride) {
  int32_t r, i;
  for (r = 0; r < rows; ++r) {
    for (i = 0; i < columns; ++i) {
      y[r * stride + i] = x[r * columns + i];
    }
  }
}
