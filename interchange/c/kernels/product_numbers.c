/* ---- Products of numbers ------------------------------------------------------------------------------------------
 * What an output sums up, or a block of its channels that has a scale of its own, is cut into chunks of 32:
 *   total = chunk[0] * scale + chunk[1] * scale + ...,  y = total + bias (+ added), with a ReLU at least 0
 * in this order, each operation rounded by itself, so that the result has the same bits wherever it is computed. */
typedef float chunk_function(const float *x, const uint8_t *row, int32_t bits, int32_t first, int32_t count);

static float sum_of_chunks(const product *p, chunk_function *chunk, const float *seen, int32_t o) {
  const uint8_t *row = (const uint8_t *)p->weight + o * p->row_bytes;
  const int32_t channels = p->channels / p->groups;
  float total = 0.0F;
  int32_t b, i;
  for (b = 0; b < p->blocks; ++b) {
    const int32_t count = smaller(p->block, channels - b * p->block) * p->kernel_height * p->kernel_width;
    for (i = 0; i < count; i += 32) {
      const float part = chunk(seen + i, row, p->weight_bits, i, smaller(32, count - i));
      total = alone(total + (p->multiplier != 0 ? alone(part * p->multiplier[b * p->outputs + o]) : part));
    }
    seen += count;
    row += (count * p->weight_bits + 7) / 8;
  }
  return total;
}

/* Every pixel of the output: what it sees goes to `patch`, or is the pixel itself where there is none. `added` (0: nothing)
 * are numbers that come on top of it. */
static void convolve_numbers(const product *p, chunk_function *chunk, const float *x, const float *added, float *patch,
                             float *y) {
  const int32_t outputs = p->outputs / p->groups;
  int32_t row, column, group, i;
  for (row = 0; row < p->out_height; ++row) {
    for (column = 0; column < p->out_width; ++column) {
      for (group = 0; group < p->groups; ++group) {
        const float *seen = patch != 0 ? patch : x + (row * p->width + column) * p->channels;
        if (patch != 0) {
          gather_numbers(p, x, row, column, group, patch);
        }
        for (i = 0; i < outputs; ++i) {
          const int32_t o = group * outputs + i;
          float total = sum_of_chunks(p, chunk, seen, o);
          total = alone(total + (p->bias != 0 ? p->bias[o] : 0.0F));
          total = alone(total + (added != 0 ? *added++ : 0.0F));
          *y++ = p->relu && total < 0.0F ? 0.0F : total;
        }
      }
    }
  }
}
