/* The same of weights of 1 bit, 1 for 1 and 0 for -1, eight a byte, the first in the lowest bit. */
static void dot_1(const uint8_t *codes, const void *row, const void *next_row, int32_t count, int32_t *sums) {
  const uint8_t *v = (const uint8_t *)row, *w = (const uint8_t *)next_row;
  int32_t sum = sums[0], next = sums[1];
  int32_t i;
  for (i = 0; i < count; ++i) {
    sum += codes[i] * (((v[i / 8] >> (i % 8)) & 1) * 2 - 1);
    next += codes[i] * (((w[i / 8] >> (i % 8)) & 1) * 2 - 1);
  }
  sums[0] = sum;
  sums[1] = next;
}
