/* 1: sums of products of 8 bits by the processor's dual multiply-accumulate (Arm's SMLAD); 0: in plain C. By default
 * where the processor has it: Cortex-M4 and later cores with DSP instructions. */
#ifndef MODEL_DUAL_MAC
#if defined(__ARM_FEATURE_SIMD32)
#define MODEL_DUAL_MAC 1
#else
#define MODEL_DUAL_MAC 0
#endif
#endif
#if MODEL_DUAL_MAC
#include <arm_acle.h>
#endif
