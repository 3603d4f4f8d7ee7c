#include "detent/core/threads/parallel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "detent/core/error.h"
#include "detent/core/threads/async_task.h"
#include "detent/core/threads/finish_first.h"
#include "detent/core/threads/job_sequence.h"

namespace detent::parallel_test {
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

TEST(JobSequence, CallsEveryPartOnceAndJobsInTheirOrder) {
  const std::vector<std::int64_t> parts{1, 7, 2, 1, 100, 3, 1};
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    JobSequence sequence(parts);
    for (int round = 0; round < 50; ++round) {
      std::vector<std::atomic<std::int64_t>> ended(parts.size());
      std::vector<std::atomic<int>> calls(static_cast<std::size_t>(100 * parts.size()));
      std::atomic<bool> is_in_order = true;
      pool.run([&] {
        sequence.run([&](std::int64_t job, std::int64_t part) {
          const auto i = static_cast<std::size_t>(job);
          is_in_order = is_in_order && (job == 0 || ended[i - 1] == parts[i - 1]);
          // Parts may share out work themselves.
          parallel_slices(part % 3 + 1, [](std::int64_t) {});
          ++calls[100 * i + static_cast<std::size_t>(part)];
          ++ended[i];
        });
      });
      EXPECT_TRUE(is_in_order) << threads << " threads";
      for (std::size_t i = 0; i < calls.size(); ++i) {
        const auto part = static_cast<std::int64_t>(i % 100);
        EXPECT_EQ(calls[i], part < parts[i / 100] ? 1 : 0) << "part " << part << " of job " << i / 100;
      }
    }
  }
}

TEST(JobSequence, ThrowsWhatAPartThrows) {
  ThreadPool pool(3);
  const std::vector<std::int64_t> parts{4, 4, 4};
  JobSequence sequence(parts);
  for (std::int64_t thrower = 0; thrower < 3; ++thrower) {
    EXPECT_THROW(pool.run([&] {
      sequence.run([&](std::int64_t job, std::int64_t part) {
        check(job < thrower || part != 2, "of job ", job);
        EXPECT_LE(job, thrower);
      });
    }),
                 Error);
  }
  std::atomic<int> calls = 0;
  pool.run([&] { sequence.run([&](std::int64_t, std::int64_t) { ++calls; }); });
  EXPECT_EQ(calls, 12) << "it may run again";
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

TEST(Interruption, EndsALoopBetweenSlicesOnAnyThread) {
  for (const int threads : {1, 3}) {
    for (const std::int64_t count : {1, 2, 1000}) {
      std::atomic<bool> is_wanted{false};
      std::atomic<int> slices{0};
      ThreadPool pool(threads, [&] { return is_wanted.load(); });
      pool.run([&] { parallel_slices(count, [&](std::int64_t) { ++slices; }); });
      EXPECT_EQ(slices, count) << "nobody asked for the end";
      slices = 0;
      const auto work = [&] {
        parallel_slices(count, [&](std::int64_t) {
          ++slices;
          is_wanted = true;
        });
        check_interruption();
      };
      EXPECT_THROW(pool.run(work), Interrupted) << threads << " threads, " << count << " slices";
      EXPECT_GE(slices, 1);
      EXPECT_LE(slices, threads) << count << " slices";
      EXPECT_THROW(pool.run([&] { parallel_slices(count, [](std::int64_t) { FAIL() << "was asked to end"; }); }),
                   Interrupted);
      is_wanted = false;
      pool.run([&] { parallel_slices(count, [&](std::int64_t) { ++slices; }); });
      EXPECT_GE(slices, count) << "the pool works on afterwards";
    }
  }
}

// A loop that was ended because a slice of an outer loop failed does not return as if it had done its work.
TEST(Interruption, AnInnerLoopThatIsCutShortDoesNotReturn) {
  ThreadPool pool(4);
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> half_done{0};
    const auto work = [&] {
      parallel_slices(4, [&](std::int64_t outer) {
        if (outer == 1) {
          throw Error("outer slice");
        }
        std::atomic<int> done{0};
        parallel_slices(50, [&](std::int64_t) {
          std::this_thread::yield();
          ++done;
        });
        half_done += done < 50 ? 1 : 0;
      });
    };
    EXPECT_THROW(pool.run(work), Error);
    ASSERT_EQ(half_done, 0) << "round " << round << ": inner loops returned before all of their slices had run";
  }
}

TEST(Interruption, ReachesNestedLoopsAndBackgroundTasksOfThePoolOnly) {
  std::atomic<bool> is_wanted{false};
  ThreadPool pool(3, [&] { return is_wanted.load(); });
  ThreadPool other(3);
  std::atomic<int> asked{0};
  pool.run([&] {
    parallel_slices(3, [&](std::int64_t) {
      other.run([&] { EXPECT_NO_THROW(check_interruption()); });
      EXPECT_NO_THROW(check_interruption());
    });
    is_wanted = true;
    other.run([&] { parallel_slices(4, [&](std::int64_t) { EXPECT_NO_THROW(check_interruption()); }); });
    is_wanted = false;
    AsyncTask background;
    background.start([&] {
      is_wanted = true;
      EXPECT_THROW(check_interruption(), Interrupted);
      parallel_slices(4, [&](std::int64_t) { ++asked; });
    });
    EXPECT_THROW(background.wait(), Interrupted);
  });
  EXPECT_EQ(asked, 0);
  EXPECT_NO_THROW(check_interruption()) << "outside of the pool";
}

TEST(Interruption, WaitsForWorkThatIsToFinishFirst) {
  using namespace std::chrono_literals;
  std::atomic<bool> stop{false};
  ThreadPool pool(2, [&] { return stop.load(); });
  const auto is_interrupted_within = [&](std::chrono::milliseconds patience) {
    stop = false;
    try {
      pool.run([&] {
        const FinishFirst finish(patience);
        stop = true;
        check_interruption();
      });
    } catch (const Interrupted&) {
      return true;
    }
    return false;
  };
  EXPECT_TRUE(is_interrupted_within(0ms));
  EXPECT_FALSE(is_interrupted_within(1h));
  EXPECT_FALSE(is_interrupted_within(FinishFirst::kNoEnd));

  stop = false;
  pool.run([&] {
    {
      const FinishFirst finish(1h);
      const FinishFirst inner(FinishFirst::kNoEnd);
      stop = true;
      std::atomic<int> done = 0;
      EXPECT_NO_THROW(parallel_slices(8, [&](std::int64_t) { ++done; })) << "on all threads";
      EXPECT_EQ(done, 8);
    }
    EXPECT_THROW(check_interruption(), Interrupted) << "the end is wanted again when the work is done";
    const FinishFirst finish(1ms);
    EXPECT_NO_THROW(check_interruption()) << "it has not been waited for";
    std::this_thread::sleep_for(5ms);
    EXPECT_THROW(parallel_slices(2, [](std::int64_t) {}), Interrupted) << "the patience is over";
  });
  const FinishFirst outside(0ms);
  EXPECT_NO_THROW(check_interruption()) << "there is no pool";
}

TEST(ThreadPool, RefusesNoThreads) { EXPECT_THROW(ThreadPool(0), Error); }

TEST(HardwareThreads, AreAtLeastOne) { EXPECT_GE(hardware_threads(), 1); }

}  // namespace
}  // namespace detent::parallel_test
