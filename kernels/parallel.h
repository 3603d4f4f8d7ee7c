#pragma once

#include <cstdint>
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
  Range operator[](std::int64_t slice) const {
    return {rows * slice / count, rows * (slice + 1) / count};
  }
};

/// Cuts `rows` so that a slice has about `rows_per_slice` rows. There is at least one slice if there is a row.
Slices slice_rows(std::int64_t rows, std::int64_t rows_per_slice);

/// Cuts `rows` so that a slice has about `kBytesPerSlice / bytes_per_row` rows: what fits a core's cache.
Slices slice_by_bytes(std::int64_t rows, std::int64_t bytes_per_row);

/// Calls fn(slice) for every slice in [0, count), on the threads of the pool that the caller runs in, in any order.
/// Within a slice everything is single-threaded. The first exception is thrown on to the caller after all have ended.
void parallel_slices(std::int64_t count, const std::function<void(std::int64_t)>& fn);

/// A pool of `threads` threads. Work that is run in it uses those threads and no others.
class ThreadPool {
 public:
  /// REQUIRES: threads >= 1.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;
  /// Runs `work` to its end within the pool.
  void run(const std::function<void()>& work);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The number of processors that this process may use.
int hardware_threads();

}  // namespace detent
