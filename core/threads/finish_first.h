#pragma once

#include <chrono>
#include <memory>

namespace detent {

/// While it lives, what this thread does is not interrupted at once: a ThreadPool that wants the end of its work gets
/// it (parallel.h) only when it has wanted it for `patience`. For work that is worth nothing half done and short, as a
/// step of training, and with kNoEnd for what must be done to its end, as saving. REQUIRES: parallel work that begins
/// while it lives ends while it lives.
class FinishFirst {
 public:
  static constexpr std::chrono::milliseconds kNoEnd = std::chrono::milliseconds::max();

  explicit FinishFirst(std::chrono::milliseconds patience);
  ~FinishFirst();
  FinishFirst(const FinishFirst&) = delete;
  FinishFirst& operator=(const FinishFirst&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace detent
