/* The same of weights of 4 bits in two's complement, two a byte, the first in the lower half. */
static int32_t weight_4(int32_t byte, int32_t place) { return (((byte >> place) & 15) ^ 8) - 8; }

static void dot_4(const uint8_t *codes, const void *row, const void *next_row, int32_t count, int32_t *sums) {
  const uint8_t *v = (const uint8_t *)row, *w = (const uint8_t *)next_row;
  int32_t sum = sums[0], next = sums[1];
  int32_t i, place;
  for (i = 0; i + 2 <= count; i += 2) {
    const int32_t a = *v++, b = *w++;
    sum += codes[i] * weight_4(a, 0) + codes[i + 1] * weight_4(a, 4);
    next += codes[i] * weight_4(b, 0) + codes[i + 1] * weight_4(b, 4);
  }
  for (place = 0; i < count; ++i, place += 4) {
    sum += codes[i] * weight_4(*v, place);
    next += codes[i] * weight_4(*w, place);
  }
  sums[0] = sum;
  sums[1] = next;
}
