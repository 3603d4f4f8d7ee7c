#pragma once

#if defined(DETENT_THREAD_SANITIZER)
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#endif

namespace detent {

/// Tells the thread sanitizer what TBB guarantees: what a thread wrote before `give` is seen by every thread after its
/// `take`. TBB itself is not compiled for the sanitizer, so it would take every handover for a race. Does nothing in
/// other builds.
class HappensBefore {
 public:
#if defined(DETENT_THREAD_SANITIZER)
  void release() { __tsan_release(this); }
  void acquire() { __tsan_acquire(this); }
#else
  void release() {}
  void acquire() {}
#endif
};

/// A task between two handovers: it takes what was there when it was made, and gives what it did when it ends, also by
/// an exception.
class OrderedTask {
 public:
  OrderedTask(HappensBefore& started, HappensBefore& ended) : ended_(ended) { started.acquire(); }
  ~OrderedTask() { ended_.release(); }
  OrderedTask(const OrderedTask&) = delete;
  OrderedTask& operator=(const OrderedTask&) = delete;

 private:
  HappensBefore& ended_;
};

}  // namespace detent
