/* Each row of codes, a pixel or all of a linear layer, by itself. */
static void multiply(const product *p, dot_function *dot, const uint8_t *x, int32_t rows, uint8_t *y) {
  int32_t r;
  for (r = 0; r < rows; ++r) {
    outputs_of(p, dot, x + r * p->channels, 0, p->outputs, y + r * p->outputs);
  }
}
