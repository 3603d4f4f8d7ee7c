/* What is done after the inputs are quantized, and after each layer: to look at codes, define it before this source. */
#ifndef MODEL_TAP
#define MODEL_TAP(layer, codes, count) ((void)0)
#endif
