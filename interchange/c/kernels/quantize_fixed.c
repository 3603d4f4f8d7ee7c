/* Codes of numbers: clamp(x / scale to the nearest, ties away from zero, + zero). */
static void quantize(const float *x, int32_t count, float scale, int32_t zero, int32_t lowest, int32_t highest,
                     uint8_t *codes) {
  int32_t i;
  for (i = 0; i < count; ++i) {
    volatile float rounded = x[i] / scale; /* to 32 bits */
    const float steps = rounded;
    int32_t whole = lowest - zero;
    if (steps >= (float)(highest - zero)) {
      whole = highest - zero;
    } else if (steps > (float)(lowest - zero)) {
      float rest;
      whole = (int32_t)steps;
      rest = steps - (float)whole;
      if (rest >= 0.5F) {
        ++whole;
      } else if (rest <= -0.5F) {
        --whole;
      }
    }
    codes[i] = (uint8_t)(whole + zero);
  }
}
