/* ---- Rounding: every operation on floats is rounded to 32 bits by itself ------------------------------------------ */

#if defined(__FAST_MATH__)
#error "the codes need floats as IEEE 754 has them: compile without -ffast-math"
#endif

/* x as a number of 32 bits. Where a compiler computes with more digits, or makes one operation of a product and the sum
 * behind it, it goes through memory. */
static float alone(float x) {
#if (defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0) || defined(__FP_FAST_FMAF)
  volatile float in_memory = x;
  return in_memory;
#else
  return x;
#endif
}
