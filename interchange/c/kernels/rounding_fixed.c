/* ---- Rounding: real factors as integers (Jacob et al. 2018, gemmlowp's fixed point) ------------------------------- */

static int32_t saturated(int64_t x) { return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : (int32_t)x; }

/* a * b / 2^31 to the nearest, ties up. REQUIRES: b >= 0. */
static int32_t doubling_high_product(int32_t a, int32_t b) {
  const int64_t half = (int64_t)1 << 30;
  const int64_t product = (int64_t)a * b;
  return (int32_t)((product + (product >= 0 ? half : 1 - half)) / ((int64_t)1 << 31));
}

/* x / 2^bits to the nearest, ties away from zero. REQUIRES: 0 <= bits <= 31. */
static int32_t divided_by_power(int32_t x, int32_t bits) {
  const int32_t mask = (int32_t)(((int64_t)1 << bits) - 1);
  const int32_t below = x < 0 ? ~(~x >> bits) : x >> bits;
  return below + ((x & mask) > (mask >> 1) + (x < 0) ? 1 : 0);
}

/* x * mantissa / 2^31 * 2^shift, rounded twice: after the product, and after the shift to the right. */
static int32_t multiplied(int32_t x, int32_t mantissa, int32_t shift) {
  const int32_t left = shift > 32 ? 32 : shift > 0 ? shift : 0;
  const int32_t shifted = saturated((int64_t)x * ((int64_t)1 << left));
  return divided_by_power(doubling_high_product(shifted, mantissa), shift < 0 ? -shift : 0);
}

static uint8_t clamped_code(int64_t code, int32_t lowest, int32_t highest) {
  return (uint8_t)(code < lowest ? lowest : code > highest ? highest : code);
}
