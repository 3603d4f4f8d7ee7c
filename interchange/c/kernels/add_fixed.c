/* ---- Sums of two values: both shifted left by 20 and brought to one scale, added, and brought to the output's ------ */
typedef struct {
  int32_t a_mantissa, b_mantissa, mantissa;
  int8_t a_shift, b_shift, shift;
  uint8_t a_zero, b_zero, zero, lowest, highest;
} sum;

static void add(const sum *s, const uint8_t *a, const uint8_t *b, int32_t count, uint8_t *y) {
  int32_t i;
  for (i = 0; i < count; ++i) {
    const int32_t of_a = multiplied((a[i] - s->a_zero) * ((int32_t)1 << 20), s->a_mantissa, s->a_shift);
    const int32_t of_b = multiplied((b[i] - s->b_zero) * ((int32_t)1 << 20), s->b_mantissa, s->b_shift);
    y[i] = clamped_code((int64_t)multiplied(of_a + of_b, s->mantissa, s->shift) + s->zero, s->lowest, s->highest);
  }
}
