#include "detent/core/threads/parallel.h"

#include <omp.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include "detent/core/error.h"
#include "detent/core/threads/finish_first.h"
#include "detent/core/threads/happens_before.h"

namespace detent {
namespace {

constexpr std::int64_t kBytesPerSlice = 256 * 1024;

/// oneDNN's own parallelism is OpenMP's. Each of our threads runs its primitives alone, so each turns OpenMP off once.
void enter_thread() {
  thread_local const bool entered = (omp_set_num_threads(1), true);
  (void)entered;
}

using ShouldStop = std::function<bool()>;

/// Of the pool whose work this thread does now. Tasks take it from where they were started.
thread_local const ShouldStop* current_should_stop = nullptr;

/// Makes `should_stop` the current one while it lives.
class InPool {
 public:
  explicit InPool(const ShouldStop* should_stop) : outer_(std::exchange(current_should_stop, should_stop)) {}
  ~InPool() { current_should_stop = outer_; }
  InPool(const InPool&) = delete;
  InPool& operator=(const InPool&) = delete;

 private:
  const ShouldStop* outer_;
};

}  // namespace

void check_interruption() {
  if (current_should_stop != nullptr && (*current_should_stop)()) {
    throw Interrupted();
  }
}

std::function<void()> interruptible(std::function<void()> work) {
  return [should_stop = current_should_stop, work = std::move(work)] {
    const InPool in_pool(should_stop);
    work();
  };
}

struct FinishFirst::Impl {
  using Clock = std::chrono::steady_clock;

  explicit Impl(std::chrono::milliseconds patience)
      : outer(current_should_stop), should_stop([this, patience] { return has_waited(patience); }) {
    current_should_stop = outer == nullptr || patience == kNoEnd ? nullptr : &should_stop;
  }
  ~Impl() { current_should_stop = outer; }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // Asked by all threads at once.
  bool has_waited(std::chrono::milliseconds patience) {
    if (!(*outer)()) {
      return false;
    }
    const Clock::rep now = Clock::now().time_since_epoch().count();
    Clock::rep first = wanted_since;
    if (first == 0 && wanted_since.compare_exchange_strong(first, now)) {
      first = now;
    }
    return Clock::duration(now - first) >= patience;
  }

  const ShouldStop* outer;
  std::atomic<Clock::rep> wanted_since{0};
  const ShouldStop should_stop;
};

FinishFirst::FinishFirst(std::chrono::milliseconds patience) : impl_(std::make_unique<Impl>(patience)) {}

FinishFirst::~FinishFirst() = default;

Slices slice_rows(std::int64_t rows, std::int64_t rows_per_slice) {
  const std::int64_t grain = std::max<std::int64_t>(rows_per_slice, 1);
  return {rows, (rows + grain - 1) / grain};
}

Slices slice_by_bytes(std::int64_t rows, std::int64_t bytes_per_row) {
  return slice_rows(rows, kBytesPerSlice / std::max<std::int64_t>(bytes_per_row, 1));
}

void parallel_slices(std::int64_t count, const std::function<void(std::int64_t)>& fn) {
  if (count == 1) {
    enter_thread();
    check_interruption();
    fn(0);
    return;
  }
  HappensBefore started, ended;
  started.release();
  const auto run_slice = [&, should_stop = current_should_stop](std::int64_t slice) {
    const OrderedTask task(started, ended);
    const InPool in_pool(should_stop);
    enter_thread();
    check_interruption();
    fn(slice);
  };
  oneapi::tbb::task_group_context context;
  try {
    oneapi::tbb::parallel_for(std::int64_t{0}, count, run_slice, oneapi::tbb::simple_partitioner(), context);
  } catch (...) {
    ended.acquire();
    throw;
  }
  ended.acquire();
  // An exception beside an outer slice ends this loop, too, without a word: its results must not be used.
  if (context.is_group_execution_cancelled()) {
    throw Interrupted();
  }
}

struct ThreadPool::Impl {
  Impl(int threads, ShouldStop stop)
      : should_stop(std::move(stop)),
        limit(oneapi::tbb::global_control::max_allowed_parallelism,
              static_cast<std::size_t>(std::max(threads, hardware_threads()))),
        arena(threads) {}
  ShouldStop should_stop;
  // Without it TBB gives no more threads than there are processors, and prints that it does.
  oneapi::tbb::global_control limit;
  oneapi::tbb::task_arena arena;
};

ThreadPool::ThreadPool(int threads, std::function<bool()> should_stop) {
  check(threads >= 1, "threads: expected at least 1, got ", threads);
  impl_ = std::make_unique<Impl>(threads, std::move(should_stop));
}

ThreadPool::~ThreadPool() = default;

int ThreadPool::threads() const { return impl_->arena.max_concurrency(); }

void ThreadPool::run(const std::function<void()>& work) {
  HappensBefore started, ended;
  started.release();
  impl_->arena.execute([&] {
    const OrderedTask task(started, ended);
    const InPool in_pool(impl_->should_stop ? &impl_->should_stop : nullptr);
    enter_thread();
    work();
  });
  ended.acquire();
}

int hardware_threads() { return oneapi::tbb::info::default_concurrency(); }

}  // namespace detent
