/* A batch norm: (x - mean) * factor + shift, of each channel. */
static void normalize(const float *mean, const float *factor, const float *shift, const float *x, int32_t pixels,
                      int32_t channels, float *y) {
  int32_t p, c;
  for (p = 0; p < pixels; ++p) {
    for (c = 0; c < channels; ++c) {
      const int32_t i = p * channels + c;
      y[i] = alone(alone(alone(x[i] - mean[c]) * factor[c]) + shift[c]);
    }
  }
}
