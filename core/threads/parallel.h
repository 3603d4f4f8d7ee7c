#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>

namespace detent {

/// A half-open range of rows [begin, end).
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t size() const { return end - begin; }
};

/// A cut of `rows` into `count` contiguous ranges that differ by at most one row. It depends on the shape alone, never
/// on the number of threads: this is why results do not either.
struct Slices {
  std::int64_t rows = 0;
  std::int64_t count = 0;
  Range operator[](std::int64_t slice) const { return {rows * slice / count, rows * (slice + 1) / count}; }
};

/// Cuts `rows` so that a slice has about `rows_per_slice` rows. There is at least one slice if there is a row.
Slices slice_rows(std::int64_t rows, std::int64_t rows_per_slice);

/// Cuts `rows` so that a slice has about `kBytesPerSlice / bytes_per_row` rows: what fits a core's cache.
Slices slice_by_bytes(std::int64_t rows, std::int64_t bytes_per_row);

/// Calls fn(slice) for every slice in [0, count), on the threads of the pool that the caller runs in, in any order.
/// Within a slice everything is single-threaded. The first exception is thrown on to the caller after all have ended;
/// it may be Interrupted, before any slice.
void parallel_slices(std::int64_t count, const std::function<void(std::int64_t)>& fn);

/// Thrown out of work that was asked to end before it was done (ThreadPool). Nothing went wrong, so it is no Error, and
/// who mends or rewords Errors lets it pass. What was being computed is worth nothing: a step may have changed some
/// weights and not others. Files are whole or not there (AtomicFile), so what was saved before can be taken up again.
class Interrupted : public std::exception {
 public:
  const char* what() const noexcept override { return "interrupted"; }
};

/// Throws Interrupted if the caller runs in a pool that wants the end of its work. `parallel_slices` asks before every
/// slice; this is for other work that may take long.
void check_interruption();

/// `work` as a task for any thread: it is interrupted as the pool that the caller runs in is. parallel_slices does this
/// by itself. REQUIRES: the pool outlives the task.
std::function<void()> interruptible(std::function<void()> work);

/// A pool of `threads` threads. Work that is run in it uses those threads and no others.
class ThreadPool {
 public:
  /// `should_stop` is asked often, and by all threads at once, while work runs; from when it says true the work ends
  /// with Interrupted, within a slice's time. A pool without it runs all work to its end. REQUIRES: threads >= 1.
  explicit ThreadPool(int threads, std::function<bool()> should_stop = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;
  /// Runs `work` within the pool, and throws what it throws.
  void run(const std::function<void()>& work);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The number of processors that this process may use.
int hardware_threads();

}  // namespace detent
