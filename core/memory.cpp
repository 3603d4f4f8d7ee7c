#include "detent/core/memory.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include "detent/core/error.h"

namespace detent {
namespace {

/// Requests of an arena from one sweep to the next: at least this many, and so many times its blocks in use at once
/// that there are several steps between them.
constexpr std::uint64_t kSweep = 4096;
constexpr std::uint64_t kSweepBlocks = 16;
/// Calls from one review of a thread's memory to the next.
constexpr int kScratchCalls = 16384;

/// The size of the block for `bytes`: whole multiples of the alignment, at least one.
std::size_t padded(std::size_t bytes) {
  if (bytes > std::numeric_limits<std::size_t>::max() - kAlignment) {
    throw std::bad_alloc();  // rounding up would wrap around
  }
  return std::max<std::size_t>((bytes + kAlignment - 1) / kAlignment, 1) * kAlignment;
}

std::byte* new_block(std::size_t bytes) {
  void* block = std::aligned_alloc(kAlignment, padded(bytes));
  if (block == nullptr) {
    throw std::bad_alloc();
  }
  return static_cast<std::byte*>(block);
}

}  // namespace

std::shared_ptr<std::byte> allocate_aligned(std::size_t bytes) {
  return {new_block(bytes), [](std::byte* block) { std::free(block); }};
}

struct Arena::Pool {
  struct Waiting {
    std::byte* block = nullptr;
    std::uint64_t since = 0;  // by `requests`
  };
  std::mutex mutex;
  std::map<std::size_t, std::vector<Waiting>> waiting;
  std::uint64_t requests = 0, last_sweep = 0;
  std::uint64_t blocks_in_use = 0, most_in_use = 0;  // the most since the last sweep
  std::size_t in_use = 0;
  std::size_t peak = 0;
  std::size_t reserved = 0;

  ~Pool() {
    for (auto& [bytes, blocks] : waiting) {
      for (const Waiting& idle : blocks) {
        std::free(idle.block);
      }
    }
  }
  void free_idle();
};

/// From time to time frees the blocks that waited since the time before.
void Arena::Pool::free_idle() {
  if (++requests - last_sweep < std::max(kSweep, kSweepBlocks * most_in_use)) {
    return;
  }
  for (auto& [bytes, blocks] : waiting) {
    reserved -= bytes * std::erase_if(blocks, [this](const Waiting& idle) {
                  const bool is_idle = idle.since < last_sweep;
                  if (is_idle) {
                    std::free(idle.block);
                  }
                  return is_idle;
                });
  }
  std::erase_if(waiting, [](const auto& of_size) { return of_size.second.empty(); });
  last_sweep = requests;
  most_in_use = blocks_in_use;
}

Arena::Arena() : pool_(std::make_shared<Pool>()) {}

std::shared_ptr<std::byte> Arena::allocate(std::size_t bytes) {
  const std::size_t size = padded(bytes);
  std::byte* block = nullptr;
  {
    std::lock_guard lock(pool_->mutex);
    pool_->free_idle();
    auto& blocks = pool_->waiting[size];
    if (!blocks.empty()) {
      block = blocks.back().block;
      blocks.pop_back();
    } else {
      block = new_block(size);
      pool_->reserved += size;
    }
    pool_->in_use += size;
    pool_->most_in_use = std::max(pool_->most_in_use, ++pool_->blocks_in_use);
    pool_->peak = std::max(pool_->peak, pool_->in_use);
  }
  return {block, [pool = pool_, size](std::byte* returned) {
            std::lock_guard lock(pool->mutex);
            pool->waiting[size].push_back({returned, pool->requests});
            pool->in_use -= size;
            --pool->blocks_in_use;
          }};
}

std::size_t Arena::bytes_in_use() const {
  std::lock_guard lock(pool_->mutex);
  return pool_->in_use;
}

std::size_t Arena::peak_bytes() const {
  std::lock_guard lock(pool_->mutex);
  return pool_->peak;
}

std::size_t Arena::bytes_reserved() const {
  std::lock_guard lock(pool_->mutex);
  return pool_->reserved;
}

std::byte* thread_scratch(std::size_t bytes, Scratch use) {
  struct Block {
    std::unique_ptr<std::byte, decltype(&std::free)> memory{nullptr, &std::free};
    std::size_t bytes = 0;
    std::size_t largest = 0;  // that was asked for since the last review
    int calls = 0;
  };
  thread_local std::array<Block, static_cast<std::size_t>(Scratch::Primitive) + 1> blocks;
  Block& block = blocks.at(static_cast<std::size_t>(use));
  block.largest = std::max(block.largest, bytes);
  const bool is_review = ++block.calls == kScratchCalls;
  if (block.bytes < bytes || (is_review && block.bytes / 4 > block.largest)) {
    block.memory.reset();
    block.bytes = 0;
    block.memory.reset(new_block(block.largest));
    block.bytes = block.largest;
  }
  if (is_review) {
    block.largest = 0;
    block.calls = 0;
  }
  return block.memory.get();
}

}  // namespace detent
