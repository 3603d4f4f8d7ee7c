/* The products of `count` numbers with weights of f32, from the one numbered `first` on, added one after another. */
static float chunk_f32(const float *x, const uint8_t *row, int32_t bits, int32_t first, int32_t count) {
  const float *w = (const float *)(const void *)row + first;
  float sum = 0.0F;
  int32_t i;
  (void)bits;
  for (i = 0; i < count; ++i) {
    sum = alone(sum + alone(x[i] * w[i]));
  }
  return sum;
}
