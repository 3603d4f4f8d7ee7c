/* How many results of the examples are farther from those of Detent than MODEL_TOLERANCE. */
int32_t model_self_test(void);

int32_t model_self_test(void) {
  int32_t differing = 0;
  int32_t n, i;
  for (n = 0; n < MODEL_EXAMPLES; ++n) {
    model_run_layers(&arena, MODEL_EXAMPLE(n), result);
    for (i = 0; i < MODEL_OUTPUT_ELEMENTS; ++i) {
      const float distance = (float)result[i] - (float)expected[n][i];
      differing += !(distance <= MODEL_TOLERANCE && -distance <= MODEL_TOLERANCE);
    }
  }
  return differing;
}

#ifndef MODEL_NO_MAIN
#include <stdio.h>

/* Exit status 0: none is. */
int main(void) {
  const int32_t differing = model_self_test();
  printf("MODEL_NAME: %ld of %ld results of %ld examples differ by more than %g\n", (long)differing,
         (long)MODEL_EXAMPLES * MODEL_OUTPUT_ELEMENTS, (long)MODEL_EXAMPLES, (double)MODEL_TOLERANCE);
  return differing != 0;
}
#endif
