/* 1 from 0 on, else -1; NaN stays. */
static void sign_numbers(const float *x, int32_t count, float *y) {
  int32_t i;
  for (i = 0; i < count; ++i) {
    y[i] = x[i] >= 0.0F ? 1.0F : x[i] < 0.0F ? -1.0F : x[i];
  }
}
