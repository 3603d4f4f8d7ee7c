#include "kernels/parallel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "kernels/error.h"

namespace detent {
namespace {

TEST(Slices, CoverAllRowsInOrderAndDifferByAtMostOne) {
  for (std::int64_t rows = 1; rows <= 130; ++rows) {
    for (const std::int64_t grain : {1, 2, 7, 16, 64, 1000}) {
      const Slices slices = slice_rows(rows, grain);
      ASSERT_GE(slices.count, 1);
      std::int64_t next = 0;
      for (std::int64_t i = 0; i < slices.count; ++i) {
        const Range range = slices[i];
        ASSERT_EQ(range.begin, next) << rows << " rows by " << grain << ", slice " << i;
        ASSERT_GE(range.size(), rows / slices.count) << rows << " rows by " << grain << ", slice " << i;
        ASSERT_LE(range.size(), std::min(grain, rows / slices.count + 1)) << rows << " rows by " << grain;
        next = range.end;
      }
      ASSERT_EQ(next, rows);
    }
  }
}

TEST(Slices, OfNothingAreNone) {
  EXPECT_EQ(slice_rows(0, 8).count, 0);
  parallel_slices(0, [](std::int64_t) { FAIL() << "there is no slice"; });
}

TEST(Slices, ByBytesHaveAtLeastOneRow) {
  EXPECT_EQ(slice_by_bytes(3, std::int64_t{1} << 40).count, 3);
  EXPECT_EQ(slice_by_bytes(1000, 4).count, 1);
}

TEST(ParallelSlices, CallsEverySliceOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (const std::int64_t count : {1, 2, 3, 100}) {
      std::vector<std::atomic<int>> calls(static_cast<std::size_t>(count));
      pool.run([&] { parallel_slices(count, [&](std::int64_t i) { ++calls[static_cast<std::size_t>(i)]; }); });
      for (std::size_t i = 0; i < calls.size(); ++i) {
        EXPECT_EQ(calls[i], 1) << "slice " << i << " of " << count << " on " << threads << " threads";
      }
    }
  }
}

TEST(ParallelSlices, NestsAndThrowsOnToTheCaller) {
  ThreadPool pool(3);
  std::atomic<int> calls{0};
  pool.run([&] { parallel_slices(4, [&](std::int64_t) { parallel_slices(5, [&](std::int64_t) { ++calls; }); }); });
  EXPECT_EQ(calls, 20);
  const auto failing = [&] {
    parallel_slices(50, [](std::int64_t i) {
      if (i == 17) {
        throw Error("slice 17");
      }
    });
  };
  try {
    pool.run(failing);
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "slice 17");
  }
  EXPECT_THROW(failing(), Error);
  EXPECT_THROW(parallel_slices(1, [](std::int64_t) { throw Error("the only slice"); }), Error);
}

TEST(ThreadPool, WorksAfterAnException) {
  ThreadPool pool(2);
  EXPECT_THROW(pool.run([] { throw std::runtime_error("work"); }), std::runtime_error);
  std::atomic<int> calls{0};
  pool.run([&] { parallel_slices(10, [&](std::int64_t) { ++calls; }); });
  EXPECT_EQ(calls, 10);
}

TEST(ThreadPool, UsesNoMoreThreadsThanItHas) {
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    std::mutex mutex;
    std::set<std::thread::id> seen;
    pool.run([&] {
      parallel_slices(200, [&](std::int64_t) {
        std::lock_guard lock(mutex);
        seen.insert(std::this_thread::get_id());
      });
    });
    EXPECT_LE(seen.size(), static_cast<std::size_t>(threads));
  }
}

TEST(ThreadPool, RefusesNoThreads) { EXPECT_THROW(ThreadPool(0), Error); }

TEST(HardwareThreads, AreAtLeastOne) { EXPECT_GE(hardware_threads(), 1); }

}  // namespace
}  // namespace detent
