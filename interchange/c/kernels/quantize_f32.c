/* Codes of numbers: clamp(rne(x / scale) + zero). */
static void quantize(const float *x, int32_t count, float scale, int32_t zero, int32_t lowest, int32_t highest,
                     uint8_t *codes) {
  int32_t i;
  for (i = 0; i < count; ++i) {
    const float steps = alone(x[i] / scale);
    int32_t whole = lowest - zero;
    if (steps >= (float)(highest - zero)) {
      whole = highest - zero;
    } else if (steps > (float)(lowest - zero)) {
      float rest;
      whole = (int32_t)steps;
      rest = steps - (float)whole;
      if (rest > 0.5F || (rest == 0.5F && whole % 2 != 0)) {
        ++whole;
      } else if (rest < -0.5F || (rest == -0.5F && whole % 2 != 0)) {
        --whole;
      }
    }
    codes[i] = (uint8_t)(whole + zero);
  }
}
