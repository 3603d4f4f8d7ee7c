#include "detent/kernels/product/peak.h"

#include <gtest/gtest.h>

#include "detent/core/error.h"
#include "detent/core/processor/units.h"
#include "detent/core/threads/parallel.h"
#include "detent/kernels/product/conv.h"

namespace detent::kernels::peak_test {
namespace {

TEST(Peak, IsAPositiveRateOfEveryTypeAndF32sWhereThereAreNoUnits) {
  for (const int threads : {1, 2}) {
    SCOPED_TRACE(threads);
    ThreadPool pool(threads);
    Peak peak;
    pool.run([&] { peak = measure_peak(threads); });
    EXPECT_GT(peak.f32, 1e6);
    EXPECT_GT(peak.bf16, 1e6);
    EXPECT_GT(peak.int8, 1e6);
    if (!has_bf16_units()) {
      EXPECT_EQ(peak.bf16, peak.f32);
    }
    if (!processor_units().avx2) {
      EXPECT_EQ(peak.int8, peak.f32);
    }
  }
}

TEST(Peak, RefusesNoThreads) { EXPECT_THROW(measure_peak(0), Error); }

}  // namespace
}  // namespace detent::kernels::peak_test
