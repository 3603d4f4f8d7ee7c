/* ---- Sums of two values: clamp(rne((a - a_zero) * a_multiplier + (b - b_zero) * b_multiplier + zero)) -------------- */
typedef struct {
  float a_multiplier, b_multiplier;
  uint8_t a_zero, b_zero, zero, lowest, highest;
} sum;

static void add(const sum *s, const uint8_t *a, const uint8_t *b, int32_t count, uint8_t *y) {
  int32_t i;
  for (i = 0; i < count; ++i) {
    const float of_a = alone((float)(a[i] - s->a_zero) * s->a_multiplier);
    const float of_b = alone((float)(b[i] - s->b_zero) * s->b_multiplier);
    y[i] = nearest_code(alone(alone(of_a + of_b) + (float)s->zero), s->lowest, s->highest);
  }
}
