static void add_numbers(const float *a, const float *b, int32_t count, int32_t relu, float *y) {
  int32_t i;
  for (i = 0; i < count; ++i) {
    const float total = alone(a[i] + b[i]);
    y[i] = relu && total < 0.0F ? 0.0F : total;
  }
}
