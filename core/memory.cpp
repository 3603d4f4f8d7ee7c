#include "detent/core/memory.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include "detent/core/error.h"

namespace detent {
namespace {

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
  std::mutex mutex;
  std::map<std::size_t, std::vector<std::byte*>> waiting;
  std::size_t in_use = 0;
  std::size_t peak = 0;
  std::size_t reserved = 0;

  ~Pool() {
    for (auto& [bytes, blocks] : waiting) {
      for (std::byte* block : blocks) {
        std::free(block);
      }
    }
  }
};

Arena::Arena() : pool_(std::make_shared<Pool>()) {}

std::shared_ptr<std::byte> Arena::allocate(std::size_t bytes) {
  const std::size_t size = padded(bytes);
  std::byte* block = nullptr;
  {
    std::lock_guard lock(pool_->mutex);
    auto& blocks = pool_->waiting[size];
    if (!blocks.empty()) {
      block = blocks.back();
      blocks.pop_back();
    } else {
      block = new_block(size);
      pool_->reserved += size;
    }
    pool_->in_use += size;
    pool_->peak = std::max(pool_->peak, pool_->in_use);
  }
  return {block, [pool = pool_, size](std::byte* returned) {
            std::lock_guard lock(pool->mutex);
            pool->waiting[size].push_back(returned);
            pool->in_use -= size;
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
  };
  thread_local std::array<Block, static_cast<std::size_t>(Scratch::Primitive) + 1> blocks;
  Block& block = blocks.at(static_cast<std::size_t>(use));
  if (block.bytes < bytes) {
    block.memory.reset(new_block(bytes));
    block.bytes = bytes;
  }
  return block.memory.get();
}

}  // namespace detent
