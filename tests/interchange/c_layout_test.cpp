// Where values of an exported program lie: never on top of each other while both are needed, and close together.
#include "detent/interchange/c/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "detent/core/philox.h"

namespace detent::interchange::c::c_layout_test {
namespace {

using testing::ElementsAre;

TEST(CLayout, AChainTakesTurns) {
  // Of 100, 60 and 40 bytes, each needed until the next one is made.
  const Layout layout = place({{100, 0, 1}, {60, 1, 2}, {40, 2, 3}});
  EXPECT_THAT(layout.offsets, ElementsAre(0, 100, 0));
  EXPECT_EQ(layout.bytes, 160);
}

TEST(CLayout, AValueThatIsNeededLaterKeepsItsPlace) {
  const Layout layout = place({{50, 0, 3}, {40, 1, 2}, {30, 2, 3}});
  EXPECT_THAT(layout.offsets, ElementsAre(0, 50, 90));
  EXPECT_EQ(layout.bytes, 120);
}

TEST(CLayout, TakesTheSmallestGapThatFits) {
  // At step 5 the gaps are 30 bytes wide (where a was) and 10 (where b was).
  const Layout layout = place({{100, 0, 9}, {30, 0, 4}, {90, 0, 9}, {10, 0, 4}, {80, 0, 9}, {9, 5, 9}, {20, 5, 9}});
  EXPECT_EQ(layout.offsets[0], 0);
  EXPECT_EQ(layout.offsets[2], 100);
  EXPECT_EQ(layout.offsets[4], 190);
  EXPECT_EQ(layout.offsets[1], 270);
  EXPECT_EQ(layout.offsets[6], 270);
  EXPECT_EQ(layout.offsets[3], 300);
  EXPECT_EQ(layout.offsets[5], 290);
  EXPECT_EQ(layout.bytes, 310);
}

TEST(CLayout, PrefersTheTighterOfTwoGaps) {
  // Large ones at 0, 110 and 172: between the first two 10 bytes are free at step 5, between the others 12.
  const Layout layout = place({{100, 0, 9}, {62, 0, 4}, {61, 0, 4}, {10, 0, 4}, {60, 5, 9}, {50, 5, 9}, {1, 5, 9}}, 1);
  for (std::size_t i = 4; i < 7; ++i) {
    EXPECT_GE(layout.offsets[i], 100);
  }
  EXPECT_EQ(layout.offsets[4], 100);
  EXPECT_EQ(layout.offsets[5], 160);
  EXPECT_EQ(layout.offsets[6], 210);
}

TEST(CLayout, KeepsTheAlignment) {
  const Layout layout = place({{10, 0, 1}, {7, 0, 1}, {5, 0, 1}}, 4);
  EXPECT_THAT(layout.offsets, ElementsAre(0, 12, 20));
  EXPECT_EQ(layout.bytes, 25);
}

TEST(CLayout, OfNothingIsNothing) {
  EXPECT_EQ(place({}).bytes, 0);
  EXPECT_THAT(place({{0, 0, 0}}).offsets, ElementsAre(0));
}

TEST(CLayout, NoTwoThatMeetShareAByte) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    RandomStream random(seed, "layout");
    std::vector<Buffer> buffers;
    const std::int64_t alignment = seed % 2 == 0 ? 1 : 4;
    for (std::uint32_t i = 0; i < 3 + random.index(20); ++i) {
      const std::int64_t first = random.index(12);
      buffers.push_back({random.index(100), first, first + random.index(5)});
    }
    const Layout layout = place(buffers, alignment);
    std::int64_t sum = 0;
    for (std::size_t a = 0; a < buffers.size(); ++a) {
      ASSERT_EQ(layout.offsets[a] % alignment, 0) << "seed " << seed;
      ASSERT_LE(layout.offsets[a] + buffers[a].bytes, layout.bytes) << "seed " << seed;
      sum += buffers[a].bytes + alignment;
      for (std::size_t b = 0; b < a; ++b) {
        const bool meet = buffers[a].first <= buffers[b].last && buffers[b].first <= buffers[a].last;
        const bool apart = layout.offsets[a] + buffers[a].bytes <= layout.offsets[b] ||
                           layout.offsets[b] + buffers[b].bytes <= layout.offsets[a];
        ASSERT_TRUE(!meet || apart) << "seed " << seed << ", buffers " << b << " and " << a;
      }
    }
    ASSERT_LE(layout.bytes, sum) << "seed " << seed;
  }
}

}  // namespace
}  // namespace detent::interchange::c::c_layout_test
