static void relu_numbers(const float *x, int32_t count, float *y) {
  int32_t i;
  for (i = 0; i < count; ++i) {
    y[i] = x[i] < 0.0F ? 0.0F : x[i];
  }
}
