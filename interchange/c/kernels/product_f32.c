/* code = clamp(rne((sum + bias) * multiplier + output_zero)) */
static uint8_t code_of_sum(const product *p, int32_t o, int32_t sum) {
  const float total = alone(alone((float)sum) + (p->bias != 0 ? p->bias[o] : 0.0F));
  const float scaled = alone(total * p->multiplier[o]);
  return nearest_code(alone(scaled + (float)p->output_zero), p->lowest, p->highest);
}
