/* x to the nearest code of [lowest, highest], ties to even; NaN gives the lowest. */
static uint8_t nearest_code(float x, int32_t lowest, int32_t highest) {
  int32_t whole;
  float rest;
  if (!(x > (float)lowest)) {
    return (uint8_t)lowest;
  }
  if (x >= (float)highest) {
    return (uint8_t)highest;
  }
  whole = (int32_t)x;
  rest = x - (float)whole;
  return (uint8_t)(rest > 0.5F || (rest == 0.5F && whole % 2 != 0) ? whole + 1 : whole);
}
