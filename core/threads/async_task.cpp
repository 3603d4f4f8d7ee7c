#include "detent/core/threads/async_task.h"

#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <cassert>
#include <exception>
#include <optional>

#include "detent/core/threads/happens_before.h"
#include "detent/core/threads/parallel.h"

namespace detent {

struct AsyncTask::Impl {
  oneapi::tbb::task_group group;
  // The arena of the task: waiting from another one would leave it to threads that may never come.
  std::optional<oneapi::tbb::task_arena> arena;
  std::exception_ptr thrown;
  HappensBefore started, ended;
};

AsyncTask::AsyncTask() : impl_(std::make_unique<Impl>()) {}

AsyncTask::~AsyncTask() {
  try {
    wait();
  } catch (...) {
    // The owner is gone: there is nobody to tell.
  }
}

void AsyncTask::start(std::function<void()> work) {
  assert(!impl_->arena);
  impl_->arena.emplace(oneapi::tbb::task_arena::attach{});
  impl_->started.release();
  impl_->group.run([impl = impl_.get(), work = interruptible(std::move(work))] {
    const OrderedTask task(impl->started, impl->ended);
    try {
      // One slice: the thread is made ready as every thread that computes is.
      parallel_slices(1, [&](std::int64_t) { work(); });
    } catch (...) {
      impl->thrown = std::current_exception();
    }
  });
}

void AsyncTask::wait() {
  if (!impl_->arena) {
    return;
  }
  impl_->arena->execute([&] { impl_->group.wait(); });
  impl_->ended.acquire();
  impl_->arena.reset();
  if (const std::exception_ptr thrown = std::exchange(impl_->thrown, nullptr)) {
    std::rethrow_exception(thrown);
  }
}

}  // namespace detent
