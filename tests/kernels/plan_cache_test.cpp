#include "detent/kernels/product/plan_cache.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "detent/core/tensor.h"
#include "detent/kernels/product/conv.h"
#include "detent/kernels/product/onednn/onednn.h"

namespace detent::kernels::plan_cache_test {
namespace {

TEST(PlanCache, DropsWhatWasAskedForLongestAgo) {
  PlanCache<int, int> cache(3);
  int made = 0;
  const auto get = [&](int key) {
    return *cache.get(key, [&] {
      ++made;
      return 10 * key;
    });
  };
  EXPECT_EQ(get(1) + get(2) + get(3), 60);
  EXPECT_EQ(get(1), 10);
  EXPECT_EQ(made, 3) << "1 was there";
  EXPECT_EQ(get(4), 40);  // 2 goes
  EXPECT_EQ(cache.size(), 3U);
  EXPECT_EQ(get(1) + get(3) + get(4), 80);
  EXPECT_EQ(made, 4) << "1, 3 and 4 were there";
  EXPECT_EQ(get(2), 20);
  EXPECT_EQ(made, 5) << "2 was dropped";
}

TEST(PlanCache, WhatIsHeldOutlivesItsPlace) {
  PlanCache<int, std::vector<int>> cache(1);
  const auto first = cache.get(1, [] { return std::vector<int>(1000, 7); });
  const std::weak_ptr<const std::vector<int>> second = cache.get(2, [] { return std::vector<int>(); });
  cache.get(3, [] { return std::vector<int>(); });
  EXPECT_EQ(first->at(999), 7);
  EXPECT_TRUE(second.expired()) << "nobody held it";
}

TEST(PlanCache, ServesManyThreadsAtOnce) {
  PlanCache<int, int> cache(8);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 2000; ++i) {
        const int key = (i * 7 + t) % 20;
        wrong += *cache.get(key, [key] { return key; }) == key ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(cache.size(), 8U);
}

TEST(PlanCache, AThousandShapesDoNotGrowItWithoutEnd) {
  const Tensor a = Tensor::full({2, 1200}, DType::F32, 1.0);
  const Tensor b = Tensor::full({1200, 3}, DType::F32, 1.0);
  Tensor y = Tensor::empty({3, 3}, DType::F32);
  const auto multiply = [&](std::int64_t m, std::int64_t k, std::int64_t n) {
    matmul({.m = m, .k = k, .n = n}, DType::F32, a.raw(), b.raw(), DType::F32, y.raw());
    ASSERT_EQ(y.data<float>()[0], static_cast<float>(k));
  };
  for (std::int64_t k = 1; k <= 1000; ++k) {
    multiply(1, k, 1);
    multiply(2, k, 1);
    multiply(1, k, 3);
  }
  EXPECT_EQ(onednn::kept_plans(), onednn::kMostPlans);
  multiply(1, 1, 1);  // long dropped
  EXPECT_EQ(onednn::kept_plans(), onednn::kMostPlans);
}

}  // namespace
}  // namespace detent::kernels::plan_cache_test
