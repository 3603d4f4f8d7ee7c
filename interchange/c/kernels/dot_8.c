/* Adds the products of codes with two rows of weights of 8 bits to two sums. */
static void dot_8(const uint8_t *codes, const void *row, const void *next_row, int32_t count, int32_t *sums) {
  const int8_t *v = (const int8_t *)row, *w = (const int8_t *)next_row;
  int32_t sum = sums[0], next = sums[1];
  int32_t i = 0;
#if MODEL_DUAL_MAC
  for (; i + 4 <= count; i += 4) {
    uint32_t x, a, b; /* four of each, of which the first and the third are multiplied at once, and the others */
    int32_t even, odd;
    __builtin_memcpy(&x, codes + i, 4);
    __builtin_memcpy(&a, v + i, 4);
    __builtin_memcpy(&b, w + i, 4);
    even = (int32_t)__uxtb16(x);
    odd = (int32_t)__uxtb16(x >> 8);
    sum = __smlad(odd, __sxtb16((int32_t)(a >> 8)), __smlad(even, __sxtb16((int32_t)a), sum));
    next = __smlad(odd, __sxtb16((int32_t)(b >> 8)), __smlad(even, __sxtb16((int32_t)b), next));
  }
#endif
  for (; i < count; ++i) {
    sum += codes[i] * v[i];
    next += codes[i] * w[i];
  }
  sums[0] = sum;
  sums[1] = next;
}
