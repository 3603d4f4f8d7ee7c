// Running a plan of integer layers allocates nothing. The counter is this program's operator new.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "detent/core/threads/parallel.h"
#include "detent/runtime/plan.h"
#include "tests/runtime/random_model.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
TEST(PlanAllocation, RunsAllocateNothing) { GTEST_SKIP() << "sanitizers have an operator new of their own"; }
#else
namespace {

std::atomic<std::int64_t> allocations{0};

void* counted(std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* const memory = std::malloc(bytes > 0 ? bytes : 1)) {
    return memory;
  }
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes); }
void* operator new[](std::size_t bytes) { return counted(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace detent::runtime::plan_allocation_test {
namespace {

TEST(PlanAllocation, RunsAllocateNothing) {
  test::ModelBuilder b(1);
  const ValueId first = b.conv(b.quantize(b.input({8, 8, 3})), {.o = 16, .kh = 3, .kw = 3, .padding = 1}, true);
  const ValueId second = b.conv(first, {.o = 16, .kh = 3, .kw = 3, .padding = 1});
  const ValueId joined = b.concat({b.max_pool(b.sum(first, second, true)), b.lookup(b.max_pool(first), true)});
  const ValueId pooled = b.pool(b.lookup(joined, false), PoolKind::Average, {.kh = 4, .kw = 4});
  b.softmax(b.dequantize(b.softmax(b.linear(b.flatten(pooled), 10))));
  ThreadPool pool(2);
  for (const std::int64_t batch : {1, 5, 64}) {
    Plan plan(b.model, batch);
    const Tensor images = test::random_inputs({8, 8, 3}, batch, 2);
    std::int64_t counted_by_runs = -1;
    pool.run([&] {
      plan.run(images);
      const std::int64_t before = allocations.load();
      for (int i = 0; i < 20; ++i) {
        plan.run(images);
      }
      counted_by_runs = allocations.load() - before;
    });
    EXPECT_EQ(counted_by_runs, 0) << "batch " << batch;
  }
}

}  // namespace
}  // namespace detent::runtime::plan_allocation_test
#endif
