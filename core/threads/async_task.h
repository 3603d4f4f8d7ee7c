#pragma once

#include <functional>
#include <memory>

namespace detent {

/// One task that runs beside its owner's work, on the threads that the owner runs in (its ThreadPool). With one thread
/// it runs inside `wait`. Used to prepare the next batch while a step computes.
class AsyncTask {
 public:
  AsyncTask();
  /// Waits; what the task throws is dropped.
  ~AsyncTask();
  AsyncTask(const AsyncTask&) = delete;
  AsyncTask& operator=(const AsyncTask&) = delete;

  /// Starts `work` and returns at once. REQUIRES: nothing is running.
  void start(std::function<void()> work);
  /// Returns when what was started has ended, at once if nothing was, and throws what it threw.
  void wait();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace detent
