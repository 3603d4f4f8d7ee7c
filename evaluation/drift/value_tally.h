#pragma once

#include <optional>
#include <span>
#include <vector>

#include "detent/core/tensor.h"
#include "detent/evaluation/drift/distribution.h"

/// Values as they come, batch by batch. Results depend on the values and their order alone.
namespace detent::evaluation {

/// Counts codes, exactly. Counting is shared out to the threads of the pool that the caller runs in.
class CodeTally {
 public:
  /// codes: u8.
  void add(const Tensor& codes);
  const CodeCount& counts() const { return counts_; }

 private:
  CodeCount counts_ = {};
};

/// At most so many real numbers of a place are kept.
inline constexpr std::int64_t kSampledValues = 16384;

/// Samples real numbers: one of every `ceil(values / kSampledValues)`, at a place among them that looks like chance and
/// is none. The range is that of all. What is not finite is counted, and else passed over.
class RealTally {
 public:
  /// `values`: how many will come in all.
  explicit RealTally(std::int64_t values);
  void add(std::span<const float> values);
  std::int64_t not_finite() const { return not_finite_; }
  /// None: no number was finite.
  std::optional<Distribution> distribution(const std::vector<float>* bounds = nullptr) const;

 private:
  void choose_next();

  std::int64_t every_ = 1;
  std::int64_t seen_ = 0, blocks_ = 0, next_ = 0;  ///< values so far, blocks of `every_` of them, the next to keep
  std::int64_t not_finite_ = 0;
  MinMax range_ = {};
  std::vector<float> sample_ = {};
};

}  // namespace detent::evaluation
