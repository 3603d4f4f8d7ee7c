/* ---- Dynamic products: codes of numbers on a map of the smallest and the largest of them ---------------------------
 *   scale = (high - low) / highest,  zero = the code nearest to -low / scale,  low <= 0 <= high
 * What is not finite does not count; a map of nothing but zeros has the scale 2^-60. */
static float map_of_numbers(const float *x, int32_t count, int32_t highest, uint8_t *zero) {
  float low = 0.0F, high = 0.0F, width, scale;
  int32_t i;
  for (i = 0; i < count; ++i) {
    if (x[i] >= -FLT_MAX && x[i] <= FLT_MAX) {
      low = x[i] < low ? x[i] : low;
      high = x[i] > high ? x[i] : high;
    }
  }
  width = alone(high - low);
  scale = alone((width > FLT_MAX ? FLT_MAX : width) / (float)highest);
  scale = scale < 0x1p-60F ? 0x1p-60F : scale;
  *zero = nearest_code(alone(-alone(low / scale)), 0, highest);
  return scale;
}

/* `count` outputs from `first` on, two at a time, the last one by itself:
 *   sum = sum of (code - zero) * weight,  y = (sum * multiplier[block] + ...) * scale + bias, with a ReLU at least 0
 * `start` are the sums of each block's weights. */
static void dynamic_outputs(const product *p, dot_function *dot, const uint8_t *seen, int32_t first, int32_t count,
                            float scale, float *y) {
  const int32_t channels = p->channels / p->groups;
  int32_t done = 0;
  while (done < count) {
    const int32_t o = first + done;
    const int32_t next = done + 1 < count ? 1 : 0;
    const uint8_t *row = (const uint8_t *)p->weight + o * p->row_bytes;
    const uint8_t *codes = seen;
    float totals[2];
    int32_t b, i;
    for (b = 0; b < p->blocks; ++b) {
      const int32_t numbers = smaller(p->block, channels - b * p->block) * p->kernel_height * p->kernel_width;
      int32_t sums[2];
      sums[0] = -p->input_zero * p->start[o * p->blocks + b];
      sums[1] = -p->input_zero * p->start[(o + next) * p->blocks + b];
      dot(codes, row, row + next * p->row_bytes, numbers, sums);
      for (i = 0; i <= next; ++i) {
        const float scaled = alone(alone((float)sums[i]) * p->multiplier[b * p->outputs + o + i]);
        totals[i] = b == 0 ? scaled : alone(totals[i] + scaled);
      }
      codes += numbers;
      row += (numbers * p->weight_bits + 7) / 8;
    }
    for (i = 0; i <= next; ++i) {
      const float result = alone(alone(totals[i] * scale) + (p->bias != 0 ? p->bias[o + i] : 0.0F));
      y[done + i] = p->relu && !(result > 0.0F) ? 0.0F : result;
    }
    done += 1 + next;
  }
}

/* A convolution or a linear layer: all of x becomes `codes`; what a pixel of the output sees of them goes to `patch`, or
 * is the pixel itself where there is none. */
static void convolve_dynamic(const product *of_model, dot_function *dot, const float *x, uint8_t *codes, uint8_t *patch,
                             float *y) {
  product with_zero = *of_model;
  const product *p = &with_zero;
  const int32_t count = p->height * p->width * p->channels, outputs = p->outputs / p->groups;
  const float scale = map_of_numbers(x, count, p->highest, &with_zero.input_zero);
  int32_t row, column, group;
  quantize(x, count, scale, p->input_zero, 0, p->highest, codes);
  for (row = 0; row < p->out_height; ++row) {
    for (column = 0; column < p->out_width; ++column) {
      for (group = 0; group < p->groups; ++group) {
        if (patch != 0) {
          gather(p, codes, row, column, group, p->block, patch);
        }
        dynamic_outputs(p, dot, patch != 0 ? patch : codes + (row * p->width + column) * p->channels, group * outputs,
                        outputs, scale, y);
        y += outputs;
      }
    }
  }
}
