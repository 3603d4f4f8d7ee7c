/* The code of an output whose weights have a scale for each `block` channels: each such sum is scaled by itself, and the
 * bias by the largest scale. */
static uint8_t code_of_blocks(const product *p, dot_function *dot, const uint8_t *seen, const uint8_t *row, int32_t o) {
  const int32_t channels = p->channels / p->groups;
  const float bias = p->bias != 0 ? alone(p->bias[o] * p->bias_multiplier[o]) : 0.0F;
  float total = 0.0F;
  int32_t b;
  for (b = 0; b < p->blocks; ++b) {
    const int32_t count = smaller(p->block, channels - b * p->block) * p->kernel_height * p->kernel_width;
    int32_t sums[2];
    float scaled;
    sums[0] = p->start[o * p->blocks + b];
    sums[1] = 0;
    dot(seen, row, row, count, sums);
    scaled = alone(alone((float)sums[0]) * p->multiplier[b * p->outputs + o]);
    total = b == 0 ? scaled : alone(total + scaled);
    seen += count;
    row += (count * p->weight_bits + 7) / 8;
  }
  return nearest_code(alone(alone(total + bias) + (float)p->output_zero), p->lowest, p->highest);
}

/* The codes of `count` outputs from `first` on, from the codes that they see. */
static void outputs_of(const product *p, dot_function *dot, const uint8_t *seen, int32_t first, int32_t count,
                       uint8_t *y) {
  const uint8_t *row = (const uint8_t *)p->weight + first * p->row_bytes;
  int32_t i;
  for (i = 0; i < count; ++i) {
    if (p->blocks > 0) {
      y[i] = code_of_blocks(p, dot, seen, row, first + i);
    } else {
      int32_t sums[2];
      sums[0] = p->start[first + i];
      sums[1] = 0;
      dot(seen, row, row, p->depth, sums);
      y[i] = code_of_sum(p, first + i, sums[0]);
    }
    row += p->row_bytes;
  }
}
