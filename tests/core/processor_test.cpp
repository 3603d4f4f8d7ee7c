#include "detent/core/processor/units.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "detent/core/processor/detected.h"
#include "tests/error_of.h"

namespace detent::processor_test {
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
  EXPECT_TRUE(error_of([] { limited({}, "avx512_vni"); }).ends_with("; did you mean 'avx512_vnni'?"));
}

TEST(ProcessorUnits, AreCalledAsTheirLimits) {
  const std::vector<std::string> all = names_of(kEverything);
  EXPECT_EQ(all,
            (std::vector<std::string>{"avx2", "avx2_vnni", "avx512", "avx512_vnni", "avx512_popcount", "avx512_bf16"}));
  for (const std::string& name : all) {
    EXPECT_EQ(names_of(limited(kEverything, name)).back(), name);
  }
  EXPECT_EQ(names_of({}), std::vector<std::string>());
}

TEST(ProcessorUnits, InUseAreAtMostThoseThatAreThere) {
  const std::vector<std::string> has = names_of(detected_units());
  for (const std::string& used : names_of(processor_units())) {
    EXPECT_EQ(std::ranges::count(has, used), 1) << used;
  }
}

}  // namespace
}  // namespace detent::processor_test
