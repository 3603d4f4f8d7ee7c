#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>

namespace detent {

/// Every block of tensor memory starts at a multiple of this: a cache line, and a vector of AVX-512.
inline constexpr std::size_t kAlignment = 64;

/// A block of `bytes` aligned to kAlignment, freed with its last owner. Not initialized. Throws std::bad_alloc where
/// there is no memory, as all of this file does.
std::shared_ptr<std::byte> allocate_aligned(std::size_t bytes);

/// Memory that is used again: a block whose last owner is gone waits in the arena for the next request of its size.
/// A training step asks for the same sizes every time, so from the second step on nothing is allocated. A block that
/// has waited while the arena served some thousand requests, several steps' worth, is freed: its size does not come
/// again. Blocks stay valid after the arena is gone. One thread at a time may call allocate; blocks may be dropped
/// anywhere.
class Arena {
 public:
  Arena();
  /// A block of at least `bytes`, aligned to kAlignment. Not initialized.
  std::shared_ptr<std::byte> allocate(std::size_t bytes);

  std::size_t bytes_in_use() const;
  /// The largest bytes_in_use() so far.
  std::size_t peak_bytes() const;
  /// Bytes held in all: in use and waiting.
  std::size_t bytes_reserved() const;

 private:
  struct Pool;
  std::shared_ptr<Pool> pool_;
};

/// What a thread's memory for intermediate results is for: uses that may hold theirs at the same time have names of
/// their own. The products (kernels/product/conv.h) call back in the midst of a slice, and what they call requantizes.
enum class Scratch : std::uint8_t {
  General,
  StraightThroughTables,
  RequantizeTables,
  PoolSums,
  ProductConversion,
  ProductInput,
  ProductGradient,
  ProductSums,
  ProductLines,
  ProductPadded,
  Primitive,  ///< oneDNN's own
};

/// `bytes` of memory that belongs to the calling thread, for intermediate results of a slice. It is valid until the
/// next call for the same use on this thread. Not initialized. It is as large as the largest of many calls, so that it
/// is rarely allocated; where none of them needed even a quarter, the rest is given back.
std::byte* thread_scratch(std::size_t bytes, Scratch use = Scratch::General);

template <typename T>
T* thread_scratch_of(std::size_t count, Scratch use = Scratch::General) {
  if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) {
    throw std::bad_alloc();
  }
  return reinterpret_cast<T*>(thread_scratch(count * sizeof(T), use));
}

}  // namespace detent
