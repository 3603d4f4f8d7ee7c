// Running a plan of integer layers allocates nothing. The counter is this program's operator new.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "detent/core/threads/parallel.h"
#include "detent/kernels/product/conv.h"
#include "tests/quant/qat_fixture.h"

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

namespace detent {
namespace {

TEST(PlanAllocation, RunsAllocateNothing) {
  if (!kernels::has_int8_units()) {
    GTEST_SKIP() << "without VNNI units layers run by the general functions, which allocate";
  }
  nn::Graph net = test::plain_net();
  net.initialize(1);
  nn::Graph prepared = quant::prepare(net, quant::QConfigMapping());
  test::infer(prepared, test::random_images({8, 8, 1}, 4, 1));
  quant::freeze_observers(prepared);
  const runtime::Model model = quant::convert(prepared).model;
  ThreadPool pool(2);
  for (const std::int64_t batch : {1, 5, 64}) {
    runtime::Plan plan(model, batch);
    const Tensor images = test::random_images({8, 8, 1}, batch, 2);
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
}  // namespace detent
#endif
