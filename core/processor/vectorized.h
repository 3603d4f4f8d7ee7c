#pragma once

/// Put before a static function whose loops the compiler shall vectorize for several processors; the right one is
/// chosen when the program starts. Codes never depend on the choice: fused multiply-add is off everywhere. Sanitizers
/// do not work with functions that are chosen at start-up, nor does every platform: there it is empty.
#if defined(__x86_64__) && defined(__ELF__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define DETENT_VECTORIZED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define DETENT_VECTORIZED
#endif

/// Put before a loop whose iterations do not depend on each other although its result may be one of its operands.
#if defined(__clang__)
#define DETENT_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define DETENT_INDEPENDENT _Pragma("GCC ivdep")
#else
#define DETENT_INDEPENDENT
#endif
