#pragma once

#if defined(DETENT_THREAD_SANITIZER)
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#endif

namespace detent {

/// Tells the thread sanitizer what TBB guarantees: what a thread wrote before `give` is seen by every thread after its
/// `take`. TBB itself is not compiled for the sanitizer, so it would take every handover for a race. Does nothing in
/// other builds.
class Handover {
 public:
#if defined(DETENT_THREAD_SANITIZER)
  void give() { __tsan_release(this); }
  void take() { __tsan_acquire(this); }
#else
  void give() {}
  void take() {}
#endif
};

/// A task between two handovers: it takes what was there when it was made, and gives what it did when it ends, also by
/// an exception.
class HandedTask {
 public:
  HandedTask(Handover& started, Handover& ended) : ended_(ended) { started.take(); }
  ~HandedTask() { ended_.give(); }
  HandedTask(const HandedTask&) = delete;
  HandedTask& operator=(const HandedTask&) = delete;

 private:
  Handover& ended_;
};

}  // namespace detent
