/* The same of codes that share bytes, the first in the lowest bits: in two's complement, of 1 bit 0 for -1 and 1 for 1. */
static float chunk_few(const float *x, const uint8_t *row, int32_t bits, int32_t first, int32_t count) {
  const int32_t mask = (1 << bits) - 1, sign = 1 << (bits - 1);
  float sum = 0.0F;
  int32_t i;
  for (i = 0; i < count; ++i) {
    const int32_t at = (first + i) * bits;
    const int32_t kept = (row[at >> 3] >> (at & 7)) & mask;
    const int32_t code = bits == 1 ? 2 * kept - 1 : (kept ^ sign) - sign;
    sum = alone(sum + alone(x[i] * (float)code));
  }
  return sum;
}
