#include "detent/interchange/c/layout.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace detent::interchange::c {
namespace {

bool meet(const Buffer& a, const Buffer& b) { return a.first <= b.last && b.first <= a.last; }

struct Taken {
  std::int64_t begin, end;
};

/// The start of the smallest gap of at least `bytes` between `taken`, which are in order; the end of all if there is
/// none.
std::int64_t best_fit(const std::vector<Taken>& taken, std::int64_t bytes, std::int64_t alignment) {
  std::int64_t best = -1;
  std::int64_t smallest = std::numeric_limits<std::int64_t>::max();
  std::int64_t free = 0;  // where nothing lies before the next one
  for (const Taken& next : taken) {
    const std::int64_t gap = next.begin - free;
    if (bytes <= gap && gap < smallest) {
      best = free;
      smallest = gap;
    }
    const std::int64_t end = (next.end + alignment - 1) / alignment * alignment;
    free = std::max(free, end);
  }
  return best >= 0 ? best : free;
}

}  // namespace

Layout place(const std::vector<Buffer>& buffers, std::int64_t alignment) {
  Layout layout{.offsets = std::vector<std::int64_t>(buffers.size(), 0)};
  std::vector<std::size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return buffers[a].bytes > buffers[b].bytes; });
  std::vector<std::size_t> placed;
  for (const std::size_t i : order) {
    std::vector<Taken> taken;
    for (const std::size_t other : placed) {
      if (meet(buffers[i], buffers[other])) {
        taken.push_back({layout.offsets[other], layout.offsets[other] + buffers[other].bytes});
      }
    }
    std::ranges::sort(taken, {}, &Taken::begin);
    layout.offsets[i] = best_fit(taken, buffers[i].bytes, alignment);
    layout.bytes = std::max(layout.bytes, layout.offsets[i] + buffers[i].bytes);
    placed.push_back(i);
  }
  return layout;
}

}  // namespace detent::interchange::c
