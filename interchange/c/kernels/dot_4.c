/* The same of weights of 4 bits in two's complement, two a byte, the first in the lower half. */
static void dot_4(const uint8_t *codes, const void *row, const void *next_row, int32_t count, int32_t *sums) {
  const uint8_t *v = (const uint8_t *)row, *w = (const uint8_t *)next_row;
  int32_t sum = sums[0], next = sums[1];
  int32_t i;
  for (i = 0; i < count; ++i) {
    sum += codes[i] * ((((v[i / 2] >> (i % 2 * 4)) & 15) ^ 8) - 8);
    next += codes[i] * ((((w[i / 2] >> (i % 2 * 4)) & 15) ^ 8) - 8);
  }
  sums[0] = sum;
  sums[1] = next;
}
