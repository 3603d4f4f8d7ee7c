/* Every pixel of the output: what it sees goes to `patch`, and is multiplied with the weights of every output. */
static void convolve(const product *p, dot_function *dot, const uint8_t *x, uint8_t *patch, uint8_t *y) {
  const int32_t outputs = p->outputs / p->groups;
  int32_t row, column, group;
  for (row = 0; row < p->out_height; ++row) {
    for (column = 0; column < p->out_width; ++column) {
      for (group = 0; group < p->groups; ++group) {
        gather(p, x, row, column, group, p->block, patch);
        outputs_of(p, dot, patch, group * outputs, outputs, y);
        y += outputs;
      }
    }
  }
}
