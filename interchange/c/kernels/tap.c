/* What is done after the inputs are quantized, and after each layer: to look at codes, or at numbers where a layer gives
 * those, define it before this source. */
#ifndef MODEL_TAP
#define MODEL_TAP(layer, codes, count) ((void)0)
#endif
#ifndef MODEL_TAP_NUMBERS
#define MODEL_TAP_NUMBERS(layer, numbers, count) ((void)0)
#endif
