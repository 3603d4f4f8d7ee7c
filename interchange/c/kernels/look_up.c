/* Any function of one value: a table of the codes that it gives. Rows of `columns` codes go to rows of `stride`. */
static void look_up(const uint8_t *table, const uint8_t *x, int32_t rows, int32_t columns, uint8_t *y,
                    int32_t stride) {
  int32_t r, i;
  for (r = 0; r < rows; ++r) {
    for (i = 0; i < columns; ++i) {
      y[r * stride + i] = table[x[r * columns + i]];
    }
  }
}
