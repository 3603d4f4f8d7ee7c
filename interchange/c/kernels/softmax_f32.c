static void softmax(const int32_t *table, const uint8_t *x, int32_t rows, int32_t columns, float scale, int32_t zero,
                    int32_t lowest, int32_t highest, uint8_t *y) {
  int32_t r, i;
  for (r = 0; r < rows; ++r) {
    const uint8_t most = largest_code(x, columns);
    const float total = alone((float)sum_of_powers(table, x, columns, most));
    for (i = 0; i < columns; ++i) {
      const float power = alone((float)table[most - x[i]]);
      const float probability = alone(power / total);
      quantize(&probability, 1, scale, zero, lowest, highest, &y[i]);
    }
    x += columns;
    y += columns;
  }
}
