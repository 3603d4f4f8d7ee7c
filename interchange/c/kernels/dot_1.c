/* The same of weights of 1 bit, 1 for 1 and 0 for -1, eight a byte, the first in the lowest bit. */
static int32_t weight_1(int32_t byte, int32_t place) { return ((byte >> place) & 1) * 2 - 1; }

static void dot_1(const uint8_t *codes, const void *row, const void *next_row, int32_t count, int32_t *sums) {
  const uint8_t *v = (const uint8_t *)row, *w = (const uint8_t *)next_row;
  int32_t sum = sums[0], next = sums[1];
  int32_t i, place;
  for (i = 0; i + 8 <= count; i += 8) {
    const int32_t a = *v++, b = *w++;
    sum += codes[i] * weight_1(a, 0) + codes[i + 1] * weight_1(a, 1) +
           codes[i + 2] * weight_1(a, 2) + codes[i + 3] * weight_1(a, 3) +
           codes[i + 4] * weight_1(a, 4) + codes[i + 5] * weight_1(a, 5) +
           codes[i + 6] * weight_1(a, 6) + codes[i + 7] * weight_1(a, 7);
    next += codes[i] * weight_1(b, 0) + codes[i + 1] * weight_1(b, 1) +
            codes[i + 2] * weight_1(b, 2) + codes[i + 3] * weight_1(b, 3) +
            codes[i + 4] * weight_1(b, 4) + codes[i + 5] * weight_1(b, 5) +
            codes[i + 6] * weight_1(b, 6) + codes[i + 7] * weight_1(b, 7);
  }
  for (place = 0; i < count; ++i, place += 1) {
    sum += codes[i] * weight_1(*v, place);
    next += codes[i] * weight_1(*w, place);
  }
  sums[0] = sum;
  sums[1] = next;
}
