/* A positive number as digits * 2^exponent, digits in [2^23, 2^24): to the nearest, ties to even. */
typedef struct {
  uint32_t digits;
  int32_t exponent;
} number;

static number number_of(uint64_t x) {
  number result = {0, 0};
  while (x < (1U << 23)) {
    x *= 2;
    --result.exponent;
  }
  if (x >= (1U << 24)) {
    uint64_t rest, half = 1;
    int32_t bits = 0;
    while (x >> bits >= (1U << 24)) {
      ++bits;
    }
    half <<= bits - 1;
    rest = x & (2 * half - 1);
    x >>= bits;
    x += rest > half || (rest == half && x % 2 != 0) ? 1U : 0U;
    result.exponent += bits;
    if (x == (1U << 24)) {
      x /= 2;
      ++result.exponent;
    }
  }
  result.digits = (uint32_t)x;
  return result;
}

/* power / total, and then its product with 2^bits, each to the nearest as floats of 32 bits have it. */
static int32_t share(uint64_t power, uint64_t total, int32_t bits) {
  const number a = number_of(power), b = number_of(total);
  const uint64_t numerator = (uint64_t)a.digits << 25;
  const uint64_t quotient = 2 * (numerator / b.digits) + (numerator % b.digits != 0 ? 1U : 0U);
  const number ratio = number_of(quotient);
  const int32_t right = -(ratio.exponent + a.exponent - b.exponent - 26 + bits);
  uint32_t whole, rest, half;
  if (right > 25) {
    return 0;
  }
  whole = ratio.digits >> right;
  half = 1U << (right - 1);
  rest = ratio.digits & (2 * half - 1);
  return (int32_t)(whole + (rest > half || (rest == half && whole % 2 != 0) ? 1U : 0U));
}

static void softmax(const int32_t *table, const uint8_t *x, int32_t rows, int32_t columns, int32_t bits,
                    int32_t highest, uint8_t *y) {
  int32_t r, i;
  for (r = 0; r < rows; ++r) {
    const uint8_t most = largest_code(x, columns);
    const uint64_t total = (uint64_t)sum_of_powers(table, x, columns, most);
    for (i = 0; i < columns; ++i) {
      const int32_t power = table[most - x[i]];
      const int32_t code = power > 0 ? share((uint64_t)power, total, bits) : 0;
      y[i] = (uint8_t)(code > highest ? highest : code);
    }
    x += columns;
    y += columns;
  }
}
