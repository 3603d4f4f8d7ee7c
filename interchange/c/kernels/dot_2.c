/* The same of weights of 2 bits in two's complement, four a byte, the first in the lowest bits. */
static void dot_2(const uint8_t *codes, const void *row, const void *next_row, int32_t count, int32_t *sums) {
  const uint8_t *v = (const uint8_t *)row, *w = (const uint8_t *)next_row;
  int32_t sum = sums[0], next = sums[1];
  int32_t i;
  for (i = 0; i < count; ++i) {
    sum += codes[i] * ((((v[i / 4] >> (i % 4 * 2)) & 3) ^ 2) - 2);
    next += codes[i] * ((((w[i / 4] >> (i % 4 * 2)) & 3) ^ 2) - 2);
  }
  sums[0] = sum;
  sums[1] = next;
}
