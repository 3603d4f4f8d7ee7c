#include "detent/core/profiler.h"

#include <numeric>

namespace detent {

double Profiler::Row::total_seconds() const { return std::accumulate(seconds.begin(), seconds.end(), 0.0); }

double Profiler::total_seconds() const {
  double total = 0.0;
  for (const Row& row : rows_) {
    total += row.total_seconds();
  }
  return total;
}

std::size_t Profiler::row_of(std::string_view module) {
  auto found = by_module_.find(module);
  if (found == by_module_.end()) {
    found = by_module_.emplace(module, rows_.size()).first;
    rows_.push_back({.module = found->first});
  }
  return found->second;
}

void Profiler::set_saved(std::size_t row, std::int64_t bytes) { rows_[row].saved_bytes = bytes; }

}  // namespace detent
