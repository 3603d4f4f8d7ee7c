/* Numbers of codes: scale * (code - zero). */
static void dequantize(const uint8_t *codes, int32_t count, float scale, int32_t zero, float *x) {
  int32_t i;
  for (i = 0; i < count; ++i) {
    x[i] = scale * (float)(codes[i] - zero);
  }
}
