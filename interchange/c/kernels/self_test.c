/* How many codes of the examples differ. */
int32_t model_self_test(void);

int32_t model_self_test(void) {
  int32_t differing = 0;
  int32_t n, i;
  for (n = 0; n < MODEL_EXAMPLES; ++n) {
    model_run_codes(&arena, MODEL_EXAMPLE(n), result);
    for (i = 0; i < MODEL_OUTPUT_ELEMENTS; ++i) {
      differing += result[i] != expected[n][i];
    }
  }
  return differing;
}

#ifndef MODEL_NO_MAIN
#include <stdio.h>

/* Exit status 0: no code differs. */
int main(void) {
  const int32_t differing = model_self_test();
  printf("MODEL_NAME: %ld of %ld codes of %ld examples differ\n", (long)differing,
         (long)MODEL_EXAMPLES * MODEL_OUTPUT_ELEMENTS, (long)MODEL_EXAMPLES);
  return differing != 0;
}
#endif
