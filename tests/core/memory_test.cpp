#include "detent/core/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

namespace detent::memory_test {
namespace {

bool is_aligned(const std::byte* block) { return reinterpret_cast<std::uintptr_t>(block) % kAlignment == 0; }

TEST(AllocateAligned, GivesAlignedMemoryOfAnySize) {
  for (const std::size_t bytes : {0UL, 1UL, 63UL, 64UL, 65UL, 1'000'003UL}) {
    const auto block = allocate_aligned(bytes);
    ASSERT_NE(block, nullptr) << bytes;
    EXPECT_TRUE(is_aligned(block.get())) << bytes;
    std::memset(block.get(), 0xAB, bytes);
  }
}

TEST(Arena, GivesABlockAgainOnceItsLastOwnerIsGone) {
  Arena arena;
  auto first = arena.allocate(1000);
  const std::byte* address = first.get();
  auto second_owner = first;
  first.reset();
  EXPECT_NE(arena.allocate(1000).get(), address) << "it is still owned";
  second_owner.reset();
  // The block that was given back last is the first to be used again.
  EXPECT_EQ(arena.allocate(1000).get(), address);
}

TEST(Arena, AllocatesNothingFromTheSecondStepOn) {
  Arena arena;
  const auto step = [&] {
    const auto a = arena.allocate(100'000);
    const auto b = arena.allocate(5'000);
    const auto c = arena.allocate(5'000);
    EXPECT_NE(b.get(), c.get());
    EXPECT_TRUE(is_aligned(a.get()) && is_aligned(b.get()) && is_aligned(c.get()));
  };
  step();
  const std::size_t reserved = arena.bytes_reserved();
  for (int i = 0; i < 10; ++i) {
    step();
  }
  EXPECT_EQ(arena.bytes_reserved(), reserved);
  EXPECT_EQ(arena.bytes_in_use(), 0U);
}

TEST(Arena, CountsBytesInWholeCacheLines) {
  Arena arena;
  const auto a = arena.allocate(1);
  EXPECT_EQ(arena.bytes_in_use(), 64U);
  {
    const auto b = arena.allocate(65);
    EXPECT_EQ(arena.bytes_in_use(), 64U + 128U);
  }
  EXPECT_EQ(arena.bytes_in_use(), 64U);
  EXPECT_EQ(arena.peak_bytes(), 64U + 128U);
  EXPECT_EQ(arena.bytes_reserved(), 64U + 128U);
}

TEST(Arena, BlocksOutliveIt) {
  std::shared_ptr<std::byte> block;
  {
    Arena arena;
    block = arena.allocate(256);
  }
  std::memset(block.get(), 1, 256);
  EXPECT_EQ(block.get()[255], std::byte{1});
}

TEST(Arena, BlocksMayBeDroppedByOtherThreads) {
  Arena arena;
  for (int i = 0; i < 100; ++i) {
    auto block = arena.allocate(128);
    std::thread([moved = std::move(block)]() mutable { moved.reset(); }).join();
  }
  EXPECT_EQ(arena.bytes_in_use(), 0U);
  EXPECT_EQ(arena.bytes_reserved(), 128U);
}

TEST(Arena, FreesBlocksOfSizesThatDoNotComeAgain) {
  Arena arena;
  for (std::size_t shape = 1; shape <= 1000; ++shape) {
    arena.allocate(6400 * shape);
  }
  EXPECT_EQ(arena.bytes_reserved(), 6400UL * 500'500UL);
  for (int request = 0; request < 3 * 4096; ++request) {
    arena.allocate(64);
  }
  EXPECT_EQ(arena.bytes_reserved(), 64U);
  // A size that comes in every step stays, and is not allocated again.
  const std::byte* block = arena.allocate(1000).get();
  for (int step = 0; step < 100; ++step) {
    for (int request = 0; request < 1000; ++request) {
      arena.allocate(64);
    }
    ASSERT_EQ(arena.allocate(1000).get(), block) << "step " << step;
  }
  EXPECT_EQ(arena.bytes_reserved(), 64U + 1024U);
}

TEST(Arena, KeepsTheBlocksOfLongSteps) {
  Arena arena;
  std::size_t reserved = 0;
  for (int step = 0; step < 5; ++step) {
    std::vector<std::shared_ptr<std::byte>> blocks;
    for (int request = 0; request < 6000; ++request) {  // more than a sweep
      blocks.push_back(arena.allocate(64));
    }
    const auto last = arena.allocate(4096);
    reserved = step == 0 ? arena.bytes_reserved() : reserved;
    EXPECT_EQ(arena.bytes_reserved(), reserved);
  }
}

TEST(ThreadScratch, IsKeptUntilItsSlotMustGrow) {
  std::byte* small = thread_scratch(100, Scratch::PoolSums);
  EXPECT_TRUE(is_aligned(small));
  EXPECT_EQ(thread_scratch(50, Scratch::PoolSums), small);
  EXPECT_NE(thread_scratch(100, Scratch::ProductSums), small) << "another use has other memory";
  std::byte* large = thread_scratch(1'000'000, Scratch::PoolSums);
  std::memset(large, 1, 1'000'000);
  EXPECT_EQ(thread_scratch(100, Scratch::PoolSums), large);
}

TEST(ThreadScratch, GivesBackWhatOneLargeCallNeeded) {
  std::byte* large = thread_scratch(std::size_t{1} << 30, Scratch::ProductGradient);
  std::memset(large, 1, 4096);
  const std::byte* small = large;
  for (int i = 0; i < 3 * 16384; ++i) {
    small = thread_scratch(1000, Scratch::ProductGradient);
  }
  EXPECT_NE(small, large);
  EXPECT_EQ(thread_scratch(1000, Scratch::ProductGradient), small) << "once is enough";
}

TEST(ThreadScratch, IsOfItsThread) {
  const std::byte* here = thread_scratch(100);
  const std::byte* there = nullptr;
  std::thread([&] { there = thread_scratch(100); }).join();
  EXPECT_NE(here, there);
}

}  // namespace
}  // namespace detent::memory_test
