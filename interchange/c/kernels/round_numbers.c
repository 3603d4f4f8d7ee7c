/* Each number to the nearest of bf16, which are the numbers whose lower half is 0, ties to even; NaN stays. */
static void round_numbers(const float *x, int32_t count, float *y) {
  int32_t i;
  for (i = 0; i < count; ++i) {
    union {
      uint32_t bits;
      float number;
    } rounded;
    rounded.number = x[i];
    if (x[i] == x[i]) {
      rounded.bits = (rounded.bits + 0x7FFFU + ((rounded.bits >> 16) & 1U)) & 0xFFFF0000U;
    }
    y[i] = rounded.number;
  }
}
