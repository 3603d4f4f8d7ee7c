#pragma once

#include <string_view>

namespace detent {

/// Vector units that kernels written for them may use: those that the processor has, less those that a limit rules out.
struct ProcessorUnits {
  bool avx2 = false;             ///< 256 bits, with fused multiply-add
  bool avx2_vnni = false;        ///< AVX-VNNI: products of 8-bit codes, four a lane, in 256 bits
  bool avx512 = false;           ///< 512 bits: F, BW, DQ, VL
  bool avx512_vnni = false;      ///< products of 8-bit codes, four a lane, in 512 bits
  bool avx512_popcount = false;  ///< VPOPCNTDQ: the number of bits that are set, by lane, in 512 bits
  bool avx512_bf16 = false;      ///< products of bf16, two a lane, in 512 bits

  bool operator==(const ProcessorUnits&) const = default;
};

/// What `has` keeps under a limit: sse41, avx2, avx2_vnni, avx512, avx512_vnni, avx512_popcount or avx512_bf16, each
/// with what stands before it, except that avx512 goes without avx2_vnni. Takes oneDNN's names for them, too:
/// avx512_core is avx512; names of more units, and the empty one, rule nothing out. Throws Error for any other word.
ProcessorUnits limited(ProcessorUnits has, std::string_view limit);

/// The units of this processor within the limits of the environment: DETENT_MAX_CPU_ISA and ONEDNN_MAX_CPU_ISA, of
/// which the stricter counts. Codes do not depend on them: a limit serves to test each path on one machine. Read once,
/// at the first call. Throws Error for a value of DETENT_MAX_CPU_ISA that `limited` refuses.
const ProcessorUnits& processor_units();

/// The class of such a processor in a word: "AVX-512 VNNI and BF16", "AVX-512 VNNI", "AVX-512", "AVX2 VNNI", "AVX2" or
/// "baseline".
std::string_view class_of(const ProcessorUnits& units);

}  // namespace detent
