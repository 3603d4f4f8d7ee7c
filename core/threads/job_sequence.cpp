#include "detent/core/threads/job_sequence.h"

#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "detent/core/processor/intrinsics.h"
#include "detent/core/threads/parallel.h"

namespace detent {
namespace {

/// Threads that share a job at most: each has a counter in every job.
constexpr std::int64_t kMostThreads = 16;
/// Looks at a job's end before a thread takes over what others that have come have not begun, and before it lets others
/// run.
constexpr int kPatience = 10;
constexpr int kLongPatience = 3000;

void pause() {
#if defined(__x86_64__) && defined(__GNUC__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

struct alignas(64) Counter {
  std::atomic<std::int64_t> value{0};
};

}  // namespace

struct JobSequence::Impl {
  std::vector<std::int64_t> parts;
  std::int64_t most_threads = 1;
  std::int64_t threads = 1;               // of this run
  std::unique_ptr<Counter[]> begun;       // [job][thread]: parts of that thread's share that somebody began
  std::unique_ptr<Counter[]> ended;       // [job]: parts that have returned
  std::atomic<std::int64_t> arrived = 0;  // threads
  std::atomic<bool> is_given_up = false;

  Counter& begun_of(std::int64_t job, std::int64_t thread) const { return begun[job * most_threads + thread]; }
  bool do_share(std::int64_t job, std::int64_t thread, const std::function<void(std::int64_t, std::int64_t)>& fn);
  void work(std::int64_t thread, const std::function<void(std::int64_t, std::int64_t)>& fn);
};

/// What is left of a thread's share of a job; false if that is nothing.
bool JobSequence::Impl::do_share(std::int64_t job, std::int64_t thread,
                                 const std::function<void(std::int64_t, std::int64_t)>& fn) {
  const Range share = Slices{parts[static_cast<std::size_t>(job)], threads}[threads - 1 - thread];
  std::atomic<std::int64_t>& next = begun_of(job, thread).value;
  bool has_any = false;
  while (next.load(std::memory_order_relaxed) < share.size()) {
    const std::int64_t part = share.begin + next.fetch_add(1, std::memory_order_relaxed);
    if (part >= share.end) {
      break;
    }
    has_any = true;
    // While a part waits for threads of its own, it must not take on the share of a thread here.
    oneapi::tbb::this_task_arena::isolate([&] { fn(job, part); });
    ended[job].value.fetch_add(1, std::memory_order_release);
  }
  return has_any;
}

void JobSequence::Impl::work(std::int64_t thread, const std::function<void(std::int64_t, std::int64_t)>& fn) {
  arrived.fetch_add(1, std::memory_order_relaxed);
  for (std::int64_t job = 0; job < static_cast<std::int64_t>(parts.size()); ++job) {
    do_share(job, thread, fn);
    const int patience = arrived.load(std::memory_order_relaxed) < threads ? 0 : kPatience;
    for (int looks = 0; ended[job].value.load(std::memory_order_acquire) < parts[static_cast<std::size_t>(job)];
         ++looks) {
      if (is_given_up.load(std::memory_order_relaxed)) {
        return;
      }
      if (looks == patience) {
        for (std::int64_t i = 1; i < threads; ++i) {
          do_share(job, (thread + i) % threads, fn);
        }
      } else if (looks > kLongPatience) {
        std::this_thread::yield();
      } else {
        pause();
      }
    }
  }
}

JobSequence::JobSequence(std::span<const std::int64_t> parts) : impl_(std::make_unique<Impl>()) {
  impl_->parts.assign(parts.begin(), parts.end());
  impl_->most_threads = parts.empty() ? 1 : std::min(std::ranges::max(parts), kMostThreads);
  impl_->begun = std::make_unique<Counter[]>(parts.size() * static_cast<std::size_t>(impl_->most_threads));
  impl_->ended = std::make_unique<Counter[]>(parts.size());
}

JobSequence::~JobSequence() = default;
JobSequence::JobSequence(JobSequence&&) noexcept = default;
JobSequence& JobSequence::operator=(JobSequence&&) noexcept = default;

void JobSequence::run(const std::function<void(std::int64_t, std::int64_t)>& fn) {
  Impl& impl = *impl_;
  impl.threads =
      std::min<std::int64_t>(impl.most_threads, std::max(oneapi::tbb::this_task_arena::max_concurrency(), 1));
  impl.arrived = 0;
  impl.is_given_up = false;
  const auto jobs = static_cast<std::int64_t>(impl.parts.size());
  for (std::int64_t job = 0; job < jobs; ++job) {
    impl.ended[job].value.store(0, std::memory_order_relaxed);
    for (std::int64_t thread = 0; thread < impl.threads; ++thread) {
      impl.begun_of(job, thread).value.store(0, std::memory_order_relaxed);
    }
  }
  parallel_slices(impl.threads, [&impl, &fn](std::int64_t thread) {
    try {
      impl.work(thread, fn);
    } catch (...) {
      impl.is_given_up = true;
      throw;
    }
  });
}

}  // namespace detent
