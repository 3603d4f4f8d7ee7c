/* ---- Softmax of rows of codes: table[d] = 2^30 * exp(-scale * d) of differences to a row's largest code ------------ */
static uint8_t largest_code(const uint8_t *x, int32_t count) {
  uint8_t most = 0;
  int32_t i;
  for (i = 0; i < count; ++i) {
    most = x[i] > most ? x[i] : most;
  }
  return most;
}

static int64_t sum_of_powers(const int32_t *table, const uint8_t *x, int32_t count, uint8_t most) {
  int64_t total = 0;
  int32_t i;
  for (i = 0; i < count; ++i) {
    total += table[most - x[i]];
  }
  return total;
}
