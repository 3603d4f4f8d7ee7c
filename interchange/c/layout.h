#pragma once

#include <cstdint>
#include <vector>

/// Where values lie in one piece of memory: those that are needed at the same time side by side, others on top of each
/// other.
namespace detent::interchange::c {

/// `bytes` of memory in use from step `first` to step `last`, both included.
struct Buffer {
  std::int64_t bytes = 0;
  std::int64_t first = 0;
  std::int64_t last = 0;
};

struct Layout {
  std::vector<std::int64_t> offsets = {};  ///< of each buffer
  std::int64_t bytes = 0;                  ///< of all: the largest end of a buffer
};

/// Largest buffer first (of equal ones the earlier), each into the smallest gap that holds it between those that are in
/// use at one of its steps, or behind them. No two buffers that are in use at one step share a byte. Offsets are
/// multiples of `alignment`. REQUIRES: bytes >= 0, first <= last, alignment >= 1.
///
/// Source of the rule: Pisarchyk, Lee 2020, Efficient Memory Management for Deep Neural Net Inference, greedy by size.
Layout place(const std::vector<Buffer>& buffers, std::int64_t alignment = 1);

}  // namespace detent::interchange::c
