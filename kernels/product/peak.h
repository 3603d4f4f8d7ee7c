#pragma once

namespace detent::kernels {

/// Operations a second, where a multiply-add is two, that the processor can do at best: what the times of products are
/// held against.
struct Peak {
  double f32 = 0.0;
  double bf16 = 0.0;
  double int8 = 0.0;
};

/// Measures what `threads` threads of the pool that the caller runs in reach with loops that do nothing but multiply
/// and add in registers, about 30 ms a type. The shortest of many short runs of one thread, beside the others, counts
/// for all, so that other programs disturb it little; threads that have no processor of their own do not count. The
/// loops use the units that the products use: of f32 AVX-512, or AVX2 with FMA; of bf16 AVX-512 BF16 (vdpbf16ps); of
/// int8 VNNI (vpdpbusd) of 512 or 256 bits, or 16-bit pairs (vpmaddwd) of AVX-512 or AVX2. Where a processor has no
/// unit for a type f32's peak is its peak.
/// REQUIRES: threads >= 1.
Peak measure_peak(int threads);

}  // namespace detent::kernels
