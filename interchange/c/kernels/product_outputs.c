/* The codes of `count` outputs from `first` on, from the codes that they see: two at a time, the last one by itself. */
static void outputs_of(const product *p, dot_function *dot, const uint8_t *seen, int32_t first, int32_t count,
                       uint8_t *y) {
  const uint8_t *row = (const uint8_t *)p->weight + first * p->row_bytes;
  int32_t done = 0;
  while (done < count) {
    const int32_t o = first + done;
    const int32_t next = done + 1 < count ? 1 : 0;
    int32_t sums[2];
    sums[0] = p->start[o];
    sums[1] = p->start[o + next];
    dot(seen, row, row + next * p->row_bytes, p->depth, sums);
    y[done] = code_of_sum(p, o, sums[0]);
    y[done + next] = code_of_sum(p, o + next, sums[next]);
    row += (1 + next) * p->row_bytes;
    done += 1 + next;
  }
}
