#include "detent/evaluation/drift/value_tally.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "detent/core/threads/parallel.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/layers/elementwise.h"

namespace detent::evaluation {
namespace {

constexpr std::int64_t kCodesPerSlice = std::int64_t{1} << 18;

/// Neighbouring codes are often equal, and adding to one counter has to wait for the addition before it: so there are
/// four that take turns.
void tally_codes(std::span<const std::uint8_t> codes, CodeCount& counts) {
  std::array<std::array<std::uint32_t, 256>, 4> turns = {};
  std::size_t i = 0;
  for (; i + 4 <= codes.size(); i += 4) {
    ++turns[0][codes[i]];
    ++turns[1][codes[i + 1]];
    ++turns[2][codes[i + 2]];
    ++turns[3][codes[i + 3]];
  }
  for (; i < codes.size(); ++i) {
    ++turns[0][codes[i]];
  }
  for (const auto& turn : turns) {
    for (std::size_t code = 0; code < counts.size(); ++code) {
      counts[code] += turn[code];
    }
  }
}

}  // namespace

void CodeTally::add(const Tensor& codes) {
  const std::span<const std::uint8_t> all = codes.data<std::uint8_t>();
  const Slices slices = slice_rows(codes.elements(), kCodesPerSlice);
  std::vector<CodeCount> parts(static_cast<std::size_t>(slices.count));
  parallel_slices(slices.count, [&](std::int64_t slice) {
    const Range range = slices[slice];
    tally_codes(all.subspan(static_cast<std::size_t>(range.begin), static_cast<std::size_t>(range.size())),
                parts[static_cast<std::size_t>(slice)]);
  });
  for (const CodeCount& part : parts) {
    std::ranges::transform(counts_, part, counts_.begin(), std::plus<>());
  }
}

RealTally::RealTally(std::int64_t values)
    : every_(std::max<std::int64_t>(1, (values + kSampledValues - 1) / kSampledValues)) {
  choose_next();
}

/// Values lie in rows, and a fixed step would meet the same columns of them again and again.
void RealTally::choose_next() {
  std::uint32_t mixed = static_cast<std::uint32_t>(blocks_) * 2654435761U;
  mixed = (mixed ^ (mixed >> 15)) * 2246822519U;
  next_ = blocks_++ * every_ + static_cast<std::int64_t>(mixed >> 8) % every_;
}

void RealTally::add(std::span<const float> values) {
  if (kernels::has_non_finite(values)) {
    not_finite_ += std::ranges::count_if(values, [](float value) { return !std::isfinite(value); });
  }
  if (const MinMax range = kernels::min_max(values); !range.empty()) {
    range_.include(range);
  }
  for (const auto end = seen_ + std::ssize(values); next_ < end; choose_next()) {
    const float value = values[static_cast<std::size_t>(next_ - seen_)];
    if (std::isfinite(value)) {
      sample_.push_back(value);
    }
  }
  seen_ += std::ssize(values);
}

std::optional<Distribution> RealTally::distribution(const std::vector<float>* bounds) const {
  return sample_.empty() ? std::nullopt : std::optional(distribution_of(sample_, range_, bounds));
}

}  // namespace detent::evaluation
