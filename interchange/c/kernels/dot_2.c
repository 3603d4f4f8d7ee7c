/* The same of weights of 2 bits in two's complement, four a byte, the first in the lowest bits. */
static int32_t weight_2(int32_t byte, int32_t place) { return (((byte >> place) & 3) ^ 2) - 2; }

static void dot_2(const uint8_t *codes, const void *row, const void *next_row, int32_t count, int32_t *sums) {
  const uint8_t *v = (const uint8_t *)row, *w = (const uint8_t *)next_row;
  int32_t sum = sums[0], next = sums[1];
  int32_t i, place;
  for (i = 0; i + 4 <= count; i += 4) {
    const int32_t a = *v++, b = *w++;
    sum += codes[i] * weight_2(a, 0) + codes[i + 1] * weight_2(a, 2) +
           codes[i + 2] * weight_2(a, 4) + codes[i + 3] * weight_2(a, 6);
    next += codes[i] * weight_2(b, 0) + codes[i + 1] * weight_2(b, 2) +
            codes[i + 2] * weight_2(b, 4) + codes[i + 3] * weight_2(b, 6);
  }
  for (place = 0; i < count; ++i, place += 2) {
    sum += codes[i] * weight_2(*v, place);
    next += codes[i] * weight_2(*w, place);
  }
  sums[0] = sum;
  sums[1] = next;
}
