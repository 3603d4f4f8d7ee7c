/* What is done after each layer: to look at its codes, define it before this source. */
#ifndef MODEL_TAP
#define MODEL_TAP(layer, codes, count) ((void)0)
#endif
