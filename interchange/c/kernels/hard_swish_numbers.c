/* x * min(max(x + 3, 0), 6) / 6 */
static void hard_swish_numbers(const float *x, int32_t count, float *y) {
  int32_t i;
  for (i = 0; i < count; ++i) {
    const float shifted = alone(x[i] + 3.0F);
    const float gate = shifted < 0.0F ? 0.0F : shifted > 6.0F ? 6.0F : shifted;
    y[i] = alone(alone(x[i] * gate) / 6.0F);
  }
}
