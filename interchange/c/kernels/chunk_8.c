/* The same of weights that are codes of 8 bits. */
static float chunk_8(const float *x, const uint8_t *row, int32_t bits, int32_t first, int32_t count) {
  const int8_t *w = (const int8_t *)(const void *)row + first;
  float sum = 0.0F;
  int32_t i;
  (void)bits;
  for (i = 0; i < count; ++i) {
    sum = alone(sum + alone(x[i] * (float)w[i]));
  }
  return sum;
}
