#include "autograd/profiler.h"

#include <algorithm>
#include <numeric>

namespace detent::autograd {

double Profiler::Row::total_seconds() const { return std::accumulate(seconds.begin(), seconds.end(), 0.0); }

double Profiler::total_seconds() const {
  double total = 0.0;
  for (const Row& row : rows_) {
    total += row.total_seconds();
  }
  return total;
}

std::size_t Profiler::row_of(std::string_view module) {
  const auto found = std::ranges::find(rows_, module, &Row::module);
  const auto row = static_cast<std::size_t>(found - rows_.begin());
  if (found == rows_.end()) {
    rows_.push_back({.module = std::string(module)});
  }
  return row;
}

void Profiler::set_saved(std::size_t row, std::int64_t bytes) { rows_[row].saved_bytes = bytes; }

}  // namespace detent::autograd
