#include "kernels/parallel.h"

#include <omp.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>

#include "kernels/error.h"
#include "kernels/handover.h"

namespace detent {
namespace {

constexpr std::int64_t kBytesPerSlice = 256 * 1024;

/// oneDNN's own parallelism is OpenMP's. Each of our threads runs its primitives alone, so each turns OpenMP off once.
void enter_thread() {
  thread_local const bool entered = (omp_set_num_threads(1), true);
  (void)entered;
}

}  // namespace

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
    fn(0);
    return;
  }
  Handover started, ended;
  started.give();
  const auto run_slice = [&](std::int64_t slice) {
    const HandedTask task(started, ended);
    enter_thread();
    fn(slice);
  };
  try {
    oneapi::tbb::parallel_for(std::int64_t{0}, count, run_slice, oneapi::tbb::simple_partitioner());
  } catch (...) {
    ended.take();
    throw;
  }
  ended.take();
}

struct ThreadPool::Impl {
  explicit Impl(int threads)
      : limit(oneapi::tbb::global_control::max_allowed_parallelism,
              static_cast<std::size_t>(std::max(threads, hardware_threads()))),
        arena(threads) {}
  // Without it TBB gives no more threads than there are processors, and prints that it does.
  oneapi::tbb::global_control limit;
  oneapi::tbb::task_arena arena;
};

ThreadPool::ThreadPool(int threads) {
  check(threads >= 1, "threads: expected at least 1, got ", threads);
  impl_ = std::make_unique<Impl>(threads);
}

ThreadPool::~ThreadPool() = default;

int ThreadPool::threads() const { return impl_->arena.max_concurrency(); }

void ThreadPool::run(const std::function<void()>& work) {
  Handover started, ended;
  started.give();
  impl_->arena.execute([&] {
    const HandedTask task(started, ended);
    enter_thread();
    work();
  });
  ended.take();
}

int hardware_threads() { return oneapi::tbb::info::default_concurrency(); }

}  // namespace detent
