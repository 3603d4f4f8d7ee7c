/* The same of weights of bf16: the upper half of the number of 32 bits. */
static float chunk_bf16(const float *x, const uint8_t *row, int32_t bits, int32_t first, int32_t count) {
  const uint16_t *w = (const uint16_t *)(const void *)row + first;
  float sum = 0.0F;
  int32_t i;
  (void)bits;
  for (i = 0; i < count; ++i) {
    union {
      uint32_t bits;
      float number;
    } weight;
    weight.bits = (uint32_t)w[i] << 16;
    sum = alone(sum + alone(x[i] * weight.number));
  }
  return sum;
}
