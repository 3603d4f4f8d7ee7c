#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

namespace detent {

/// Jobs one after another, each cut into parts that any thread may do. For jobs of microseconds, of which a
/// parallel_slices each would take longer than what it shares out: threads are called once for all jobs, and then keep
/// to the same share of each, so that what one job leaves in a core's cache the next finds there. A thread that does
/// not come, or stays behind, has its share done by others.
class JobSequence {
 public:
  /// Job i has parts[i] parts. REQUIRES: all >= 1.
  explicit JobSequence(std::span<const std::int64_t> parts);
  ~JobSequence();
  JobSequence(JobSequence&&) noexcept;
  JobSequence& operator=(JobSequence&&) noexcept;

  /// Calls fn(job, part) for every part of every job, on the threads of the pool that the caller runs in; for a job
  /// only after it has returned for all parts of those before it. Throws what parallel_slices would. REQUIRES: one
  /// caller at a time.
  void run(const std::function<void(std::int64_t job, std::int64_t part)>& fn);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace detent
