#include "detent/core/processor/units.h"

#include <gtest/gtest.h>

#include "tests/error_of.h"

namespace detent {
namespace {

constexpr ProcessorUnits kEverything{
    .avx2 = true, .avx2_vnni = true, .avx512 = true, .avx512_vnni = true, .avx512_popcount = true, .avx512_bf16 = true};

TEST(ProcessorUnits, KeepWhatALimitAllows) {
  EXPECT_EQ(class_of(limited(kEverything, "")), "AVX-512 VNNI and BF16");
  EXPECT_EQ(class_of(limited(kEverything, "avx512_bf16")), "AVX-512 VNNI and BF16");
  EXPECT_EQ(class_of(limited(kEverything, "avx512_vnni")), "AVX-512 VNNI");
  EXPECT_FALSE(limited(kEverything, "avx512_vnni").avx512_popcount);
  EXPECT_TRUE(limited(kEverything, "avx512_popcount").avx512_popcount);
  EXPECT_EQ(class_of(limited(kEverything, "avx512")), "AVX-512");
  EXPECT_EQ(class_of(limited(kEverything, "avx2_vnni")), "AVX2 VNNI");
  EXPECT_EQ(class_of(limited(kEverything, "avx2")), "AVX2");
  EXPECT_EQ(class_of(limited(kEverything, "sse41")), "baseline");
}

TEST(ProcessorUnits, TakeTheWordsOfOneDnn) {
  EXPECT_EQ(limited(kEverything, "AVX512_CORE"), limited(kEverything, "avx512"));
  EXPECT_EQ(limited(kEverything, "AVX512_CORE_VNNI"), limited(kEverything, "avx512_vnni"));
  EXPECT_EQ(limited(kEverything, "AVX2"), limited(kEverything, "avx2"));
  EXPECT_EQ(limited(kEverything, "ALL"), kEverything);
}

TEST(ProcessorUnits, ALimitAddsNothing) {
  const ProcessorUnits avx2{.avx2 = true};
  EXPECT_EQ(limited(avx2, "avx512_bf16"), avx2);
  EXPECT_FALSE(limited(kEverything, "avx512").avx2_vnni) << "a processor with AVX-512 alone";
}

TEST(ProcessorUnits, RefuseOtherWords) {
  EXPECT_EQ(error_of([] { limited({}, "avx1024"); }),
            "DETENT_MAX_CPU_ISA: expected one of sse41, avx2, avx2_vnni, avx512, avx512_vnni, avx512_popcount, "
            "avx512_bf16, got "
            "\"avx1024\"");
}

}  // namespace
}  // namespace detent
