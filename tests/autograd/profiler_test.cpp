#include "detent/core/profiler.h"

#include <gtest/gtest.h>

#include "detent/autograd/ops.h"

namespace detent::autograd::profiler_test {
namespace {

using Phase = Profiler::Phase;

TEST(Profiler, RowsStandInTheOrderOfTheirFirstUseAndAddUp) {
  Profiler profiler;
  const std::size_t b = profiler.row_of("b");
  const std::size_t a = profiler.row_of("a");
  EXPECT_EQ(profiler.row_of("b"), b);
  profiler.add_time(b, Phase::Forward, 1.0);
  profiler.add_time(a, Phase::Data, 2.0);
  profiler.add_time(b, Phase::Backward, 4.0);
  profiler.add_time(b, Phase::Forward, 8.0);
  profiler.set_saved(a, 5);
  profiler.set_saved(a, 7);
  ASSERT_EQ(profiler.rows().size(), 2U);
  EXPECT_EQ(profiler.rows()[0].module, "b");
  EXPECT_EQ(profiler.rows()[0].seconds_of(Phase::Forward), 9.0);
  EXPECT_EQ(profiler.rows()[0].total_seconds(), 13.0);
  EXPECT_EQ(profiler.rows()[1].saved_bytes, 7);
  EXPECT_EQ(profiler.total_seconds(), 15.0);
}

TEST(Profiler, AScopeMeasuresItsLifeOnce) {
  Profiler profiler;
  {
    const ProfiledScope scope(&profiler, "slow", Phase::Optimizer);
    EXPECT_EQ(profiler.current(), profiler.row_of("slow"));
    EXPECT_EQ(profiler.total_seconds(), 0.0);
  }
  EXPECT_GT(profiler.rows()[0].seconds_of(Phase::Optimizer), 0.0);
  EXPECT_EQ(profiler.rows()[0].total_seconds(), profiler.rows()[0].seconds_of(Phase::Optimizer));
  const ProfiledScope nobody(nullptr, "nobody", Phase::Data);
}

// A node's backward belongs to the module that was current when the node was recorded.
TEST(Profiler, BackwardBelongsToTheModuleThatRecorded) {
  Profiler profiler;
  Tape tape;
  tape.set_profiler(&profiler);
  const Variable x = tape.variable(Tensor::full({1000}, DType::F32, 2.0));
  Variable y;
  {
    const ProfiledScope scope(&profiler, "first", Phase::Forward);
    y = scale(x, 3.0);
  }
  {
    const ProfiledScope scope(&profiler, "second", Phase::Forward);
    y = sum(y);
  }
  tape.backward(y);
  ASSERT_EQ(profiler.rows().size(), 2U);
  for (const Profiler::Row& row : profiler.rows()) {
    EXPECT_GT(row.seconds_of(Phase::Forward), 0.0) << row.module;
    EXPECT_GT(row.seconds_of(Phase::Backward), 0.0) << row.module;
    EXPECT_EQ(row.seconds_of(Phase::Optimizer), 0.0) << row.module;
  }
  EXPECT_EQ(tape.gradient(x).data<float>()[0], 3.0F);
}

}  // namespace
}  // namespace detent::autograd::profiler_test
