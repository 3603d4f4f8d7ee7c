#include "detent/recipes/bench/turns.h"

#include <gtest/gtest.h>

#include <string>

#include "detent/core/threads/parallel.h"

namespace detent::recipes::turns_test {
namespace {

class Patient : public evaluation::Reporter {};

class Impatient : public evaluation::Reporter {
 public:
  bool should_stop() override { return true; }
};

TEST(Turns, MedianIsTheNumberInTheMiddle) {
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 3, 2}), 3) << "the upper of two";
  EXPECT_EQ(median({7}), 7);
}

TEST(Turns, LowerQuartileIsAboveAQuarter) {
  EXPECT_EQ(lower_quartile({8, 1, 7, 2, 6, 3, 5, 4}), 3);
  EXPECT_EQ(lower_quartile({3, 1, 2}), 1);
  EXPECT_EQ(lower_quartile({7}), 7);
}

TEST(Turns, AreTakenInTurn) {
  std::string runs;
  const std::vector<std::function<void()>> work{[&] { runs += 'a'; }, [&] { runs += 'b'; }};
  Patient patient;
  const auto seconds = time_turns(work, {.count = 3, .seconds = 0}, patient);
  EXPECT_EQ(runs, "aabbaabbaabb") << "of each turn the first run is not timed";
  ASSERT_EQ(seconds.size(), 2U);
  EXPECT_EQ(seconds[0].size(), 3U);
  EXPECT_EQ(seconds[1].size(), 3U);
}

TEST(Turns, EndWhenTheyAreAskedTo) {
  Impatient impatient;
  const std::vector<std::function<void()>> work{[] {}};
  EXPECT_THROW(time_turns(work, {}, impatient), Interrupted);
}

}  // namespace
}  // namespace detent::recipes::turns_test
