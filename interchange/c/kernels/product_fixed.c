/* code = clamp((sum + bias) * mantissa / 2^31 * 2^shift + output_zero) */
static uint8_t code_of_sum(const product *p, int32_t o, int32_t sum) {
  const int32_t total = saturated((int64_t)sum + (p->bias != 0 ? p->bias[o] : 0));
  const int64_t code = (int64_t)multiplied(total, p->mantissa[o], p->shift[o]) + p->output_zero;
  return clamped_code(code, p->lowest, p->highest);
}
