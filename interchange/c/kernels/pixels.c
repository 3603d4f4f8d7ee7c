static void codes_of_pixels(const uint8_t *pixels, int32_t count, uint8_t *codes) {
  int32_t i;
  for (i = 0; i < count; ++i) {
    codes[i] = model_code_of_pixel[pixels[i]];
  }
}
